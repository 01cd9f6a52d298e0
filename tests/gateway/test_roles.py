"""Who plays the roles of a gateway's models: other models of its file, reward models behind HTTP, objects of the operator's."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from outthink.core.errors import BadInput, JournalMismatch, UnknownName, Unsupported
from outthink.gateway.config import parse
from outthink.gateway.gateway import opened
from outthink.gateway.operation import Operation
from outthink.gateway.resuming import resume
from outthink.gateway.server import listening
from outthink.runtime.ledger import Ledger
from outthink.testing.fake_server import FakeServer, FakeSettings

KEY = "reward-key-0123456789"
MODEL = '[models.a]\nupstreams = [{ url = "http://x" }]\n'
REWARDS = '[models.r]\nupstreams = [{ url = "pooling:http://x#prm" }]\n'
MIXED = '[models.m]\npublic = false\nupstreams = [{ url = "http://x" }, { url = "score:http://x#prm" }]\n'
OTHER = '[models.b]\nupstreams = [{ url = "http://y" }]\n'


class Retriever:
    """Plays the role of that name, and remembers what it was asked."""

    asked: list[str] = []  # noqa: RUF012  # shared with the one that the gateway makes

    async def examples(self, problem: str, query: str, count: int) -> list[dict[str, str]]:
        self.asked.append(problem)
        return []

    async def next_steps(self, problem: str, text: str, count: int) -> list[str]:
        self.asked.append(text)
        return []


@asynccontextmanager
async def serving(folder: Path, models: str) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """A gateway that records, from a configuration file."""
    text = f'[server]\nstate = "{folder / "state"}"\n[records]\nfolder = "{folder / "records"}"\n{models}'
    (folder / "gateway.toml").write_text(text)
    async with (
        Operation(folder / "gateway.toml") as operation,
        listening(operation.gateway) as base,
        aiohttp.ClientSession() as session,
    ):
        yield base, session


async def asked(base: str, session: aiohttp.ClientSession, **body: Any) -> tuple[int, dict[str, Any]]:
    """Status and body of one chat request, or of a completion where a prompt is given."""
    path = "completions" if "prompt" in body else "chat/completions"
    sent = {"max_tokens": 64, **body} if "prompt" in body else {"messages": [{"role": "user", "content": "p0 what?"}], **body}
    async with session.post(f"{base}/v1/{path}", json=sent, headers={"x-request-id": "request-asked"}) as reply:
        return reply.status, await reply.json()


@asynccontextmanager
async def rewarding(told: list[dict[str, Any]]) -> AsyncIterator[str]:
    """The URL of a reward model that likes texts with a 7, and lets nobody in without its key."""

    async def reward(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"error": {"message": "who are you?"}}, status=401)
        body = await request.json()
        told.append(body)
        number = float("7" in body["messages"][-1]["content"])
        return web.json_response({"data": [{"data": [[1 - number, number]]}], "usage": {"prompt_tokens": 11, "total_tokens": 11}})

    async def listed(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "prm"}]})

    application = web.Application()
    application.router.add_post("/pooling", reward)
    application.router.add_get("/v1/models", listed)
    async with TestServer(application) as server:
        yield f"pooling:http://127.0.0.1:{server.port}#prm"


async def test_a_reward_model_scores_with_the_settings_and_the_key_of_the_file(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    (tmp_path / "secret").write_text(KEY)
    async with FakeServer(FakeSettings()) as fake, rewarding(told) as url:
        models = (
            f'[models.qwen]\nupstreams = [{{ url = "{fake.url}" }}]\nverifier = "reward"\nroles = {{ prm = "rewards" }}\n'
            'verifiers = { reward = { mark = "<extra_0>" } }\n'
            f'[models.rewards]\npublic = false\nupstreams = [{{ url = "{url}", key_file = "{tmp_path / "secret"}" }}]\n'
        )
        async with serving(tmp_path, models) as (base, session):
            status, reply = await asked(base, session, model="qwen@best_of_n:4")
            assert status == 200, reply
            assert reply["usage"]["outthink"]["verifier_prompt_tokens"] == 11 * len(told) > 0
            assert all(body["messages"][-1]["content"].endswith("<extra_0>") for body in told)
            async with session.get(f"{base}/v1/models") as listed:
                assert [each["id"] for each in (await listed.json())["data"]] == ["qwen"]
            status, hidden = await asked(base, session, model="rewards")
            assert (status, hidden["error"]["code"]) == (404, "model_not_found")
        [record] = (tmp_path / "records").glob("*/request-asked.db")
        paid = len(told)
        again = await resume(record)
        assert (again.answers[0].text, len(told)) == (reply["choices"][0]["message"]["content"], paid)
        (tmp_path / "gateway.toml").write_text((tmp_path / "gateway.toml").read_text().replace("<extra_0>", "<other>"))
        with pytest.raises(JournalMismatch, match="verifier settings mark is"):
            await resume(record)


async def test_a_role_that_its_model_cannot_play_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    (tmp_path / "secret").write_text(KEY)
    async with FakeServer(FakeSettings()) as fake, rewarding(told) as url:
        models = (
            f'[models.chats]\nupstreams = [{{ url = "{fake.url}" }}]\nverifier = "reward"\nroles = {{ prm = "text" }}\n'
            f'[models.text]\nupstreams = [{{ url = "{fake.url}" }}]\nverifier = "judge"\n'
            'roles = { prm = "rewards", judge = "rewards" }\n'
            f'[models.rewards]\npublic = false\nupstreams = [{{ url = "{url}", key_file = "{tmp_path / "secret"}" }}]\n'
        )
        async with serving(tmp_path, models) as (base, session):
            before = fake.accounts.requests
            for model, verifier, why in [
                ("chats", "reward", r"of its prm, needs rewards, and \S+ gives text; .*pooling:URL#name"),
                ("text", "judge", r"of its judge, needs text, and pooling:\S+ is a reward model"),
                ("text", "verdict", r"of its prm, needs text, and pooling:\S+ is a reward model"),
            ]:
                own = {"strategy": "best_of_n", "parameters": {"n": 2}, "verifier": verifier}
                status, reply = await asked(base, session, model=model, outthink=own)
                assert (status, reply["error"]["code"]) == (400, "unsupported"), reply
                assert re.search(why, reply["error"]["message"])
                assert "usage" not in reply
            assert (told, fake.accounts.requests) == ([], before)


async def test_a_model_plays_a_role_of_its_own_and_its_record_goes_on_anywhere(tmp_path: Path) -> None:
    async with FakeServer(FakeSettings()) as fake:
        model = f'[models.qwen]\nupstreams = [{{ url = "{fake.url}", engine = "vllm" }}]\nroles = {{ prm = "qwen" }}\n'
        async with serving(tmp_path, f"{model}verifiers = {{ verdict = {{ good = 'a', bad = 'b' }} }}\n") as (base, session):
            own = {"strategy": "best_of_n:2", "verifier": "verdict"}
            status, reply = await asked(base, session, model="qwen", outthink=own)
            assert status == 200, reply
        [record] = (tmp_path / "records").glob("*/request-asked.db")
        paid = fake.accounts.requests
        again = await resume(record)
        assert (again.answers[0].text, fake.accounts.requests) == (reply["choices"][0]["message"]["content"], paid)


async def test_a_verifiers_settings_are_those_of_the_record_where_no_file_says_them(tmp_path: Path) -> None:
    async with FakeServer(FakeSettings()) as fake:
        model = f'[models.qwen]\nupstreams = [{{ url = "{fake.url}#fake" }}]\nverifiers = {{ judge = {{ max_tokens = 32 }} }}\n'
        async with serving(tmp_path, model) as (base, session):
            own = {"strategy": "best_of_n:2", "verifier": "judge"}
            status, reply = await asked(base, session, model="qwen", outthink=own)
            assert status == 200, reply
        [record] = (tmp_path / "records").glob("*/request-asked.db")
        again = await resume(record, model=f"{fake.url}#fake")
        assert again.answers[0].text == reply["choices"][0]["message"]["content"]


async def test_what_one_request_learns_of_a_verifiers_model_is_not_held_against_another(tmp_path: Path) -> None:
    async with FakeServer(FakeSettings()) as fake:
        model = f'[models.qwen]\nupstreams = [{{ url = "{fake.url}", engine = "vllm" }}]\nroles = {{ prm = "qwen" }}\n'
        async with serving(tmp_path, f'{model}verifier = "verdict"\n') as (base, session):
            status, reply = await asked(base, session, model="qwen@best_of_n:16")
            assert (status, "are not the two words" in reply["error"]["message"]) == (400, True), reply
            status, reply = await asked(base, session, model="qwen@best_of_n:2")  # too few replies to tell
            assert status == 200, reply


async def test_a_models_verifier_is_only_for_what_scores(tmp_path: Path) -> None:
    async with FakeServer(FakeSettings(logprobs=False)) as fake:
        model = f'[models.qwen]\nupstreams = [{{ url = "{fake.url}", engine = "ollama" }}]\nverifier = "self_certainty"\n'
        async with serving(tmp_path, model) as (base, session):
            for strategy, expected in [("single", 200), ("majority:2", 200), ("best_of_n:2", 400)]:
                status, reply = await asked(base, session, model=f"qwen@{strategy}")
                assert status == expected, reply


async def test_an_object_that_cannot_be_made_any_more_changes_nothing_at_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeServer(FakeSettings()) as fake:
        model = f'[models.qwen]\nupstreams = [{{ url = "{fake.url}" }}]\n'
        (tmp_path / "gateway.toml").write_text(f'[server]\nstate = "{tmp_path / "state"}"\n{model}')
        async with Operation(tmp_path / "gateway.toml") as operation:
            built, served = operation.built, operation.gateway.models
            file = tmp_path / "gateway.toml"
            more = f'roles = {{ retriever = "{__name__}:Retriever" }}\n'
            file.write_text(file.read_text().replace('" }]', '", weight = 2 }]') + more)
            made = []

            def once(self: Retriever) -> None:
                if made:
                    raise OSError("no room")
                made.append(self)

            monkeypatch.setattr(Retriever, "__init__", once)
            assert not await operation.reloaded()
            assert (operation.built, operation.gateway.models, operation.retired) == (built, served, [])


async def test_a_reward_model_alone_is_not_served() -> None:
    with pytest.raises(Unsupported, match="a model that clients chat with needs text, and pooling:"):
        async with opened(["pooling:http://127.0.0.1:9#prm"], ledger=Ledger()):
            pass


async def test_objects_play_roles(tmp_path: Path) -> None:
    Retriever.asked.clear()
    async with FakeServer(FakeSettings()) as fake:
        models = (
            f'[models.qwen]\nupstreams = [{{ url = "{fake.url}", engine = "vllm" }}]\nverifier = "step_judge"\n'
            f'roles = {{ retriever = "{__name__}:Retriever" }}\n'
        )
        async with serving(tmp_path, models) as (base, session):
            own = {"strategy": "r2", "parameters": {"simulations": 2, "branching": 2}}
            status, reply = await asked(base, session, model="qwen", outthink=own)
            assert status == 200, reply
    assert Retriever.asked[0] == "p0 what?"


@pytest.mark.model
@pytest.mark.parametrize("strategy", ["beam_search", "saffron", "particle_filter"])
async def test_search_by_models_that_only_play_roles(strategy: str, tmp_path: Path) -> None:
    models = (
        '[models.tiny]\nupstreams = [{ url = "tiny" }]\ntask = "countdown"\nverifier = "verdict"\n'
        'roles = { prm = "prm", mrm = "rewards" }\n'
        '[models.prm]\npublic = false\nupstreams = [{ url = "tiny-verifier" }]\n'
        '[models.rewards]\npublic = false\nupstreams = [{ url = "tiny-rewards" }]\n'
    )
    async with serving(tmp_path, models) as (base, session):
        own = {"strategy": strategy, "budget": "30k tokens"}
        status, reply = await asked(base, session, model="tiny", prompt="make 59 from 5 6 13 25\n", outthink=own)
    assert status == 200, reply
    assert reply["choices"][0]["text"].strip().endswith("59")
    assert reply["usage"]["outthink"]["verifier_prompt_tokens"] > 0


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (MODEL + 'roles = { judge = "b" }', r"model \(g\.toml: models\.a\.roles\.judge\) is called 'b'"),
        (MODEL + 'roles = { generator = "a" }', r"models\.a\.roles\.generator: is no role to give away"),
        (MODEL + 'roles = { retriever = "no_such.module:Bank" }', r"roles\.retriever: .*can't be loaded"),
        (MODEL + "verifiers = { verdict = { agregate = 'min' } }", r"models\.a\.verifiers\.verdict\) is .*agregate"),
        (MODEL + "verifiers = { veredict = {} }", r"no verifier \(g\.toml: models\.a\.verifiers\.veredict\) is .*verdict"),
        (REWARDS, r"models\.r\.public: can't be true: a reward model gives numbers.*public = false.*prm"),
        (MODEL + MIXED, r"models\.m\.upstreams: are reward models and others"),
        (MODEL + "public = false", r"g\.toml: models: names none that clients may use"),
        (
            MODEL + 'prices = { prompt = 1, completion = 1 }\nbudget = "$1"\nroles = { judge = "b" }\n' + OTHER,
            r"roles\.judge: the budget of requests is in \$, and \[models\.b\] has no prices",
        ),
        (
            MODEL + f'{OTHER}public = false\n[keys.k]\nhash = "sha256:{"0" * 64}"\nmodels = ["b"]',
            r"no public model of g\.toml: keys\.k: models is called 'b'",
        ),
        (
            MODEL + 'prices = { prompt = 1, completion = 1 }\nroles = { judge = "b" }\n' + OTHER
            + f'[keys.k]\nhash = "sha256:{"0" * 64}"\nmodels = ["a"]\ndaily_budget = "$1"',
            r"keys\.k\.daily_budget: is in \$, and \[models\.b\] has no prices",
        ),
        (MODEL + "verifiers = { verdict = { name = 'x' } }", r"models\.a\.verifiers\.verdict\) is called 'name'"),
    ],
)  # fmt: skip
def test_a_wrong_role_is_refused_with_its_place(text: str, error: str) -> None:
    with pytest.raises((BadInput, UnknownName), match=error):
        parse(text, "g.toml")
