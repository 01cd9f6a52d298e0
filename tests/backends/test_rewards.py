"""Reward models over HTTP against a stand-in that speaks vLLM's forms, well and badly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from outthink.backends.rewards import RewardBackend
from outthink.core.backend import Backend, Request
from outthink.core.errors import BackendError, BadInput, Lost, UnknownName, Unsupported
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling
from outthink.core.selection import Result
from outthink.core.verifier import Verifier
from outthink.models import backend_of
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trees import Node, TreeWorld
from outthink.verifiers.judge import Judge
from outthink.verifiers.reward import Reward
from outthink.verifiers.verdict import Verdict

WORLD = TreeWorld.grown(
    {"p": ("gold", Node(below={"a": Node(0.5, 0.8, {"gold": Node(1, 0.9)}), "b": Node(0.5, 0.4, {"tin": Node(1, 0.6)})}))}
)

Told = Callable[[dict[str, Any]], object]


async def with_server(told: Told, use: Callable[[str], Awaitable[Any]]) -> Any:
    """Serve every endpoint by one function of the body."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer = told(await request.json())
        return answer if isinstance(answer, web.StreamResponse) else web.json_response(answer)

    app = web.Application()
    for endpoint in ("pooling", "score", "classify"):
        app.router.add_post(f"/{endpoint}", handle)  # as vLLM: beside /v1, not in it
    async with TestServer(app) as server:
        return await use(f"http://127.0.0.1:{server.port}#prm")


def rewards(told: Told, endpoint: str = "pooling", prompt: Prompt | None = None) -> list[float]:
    async def use(url: str) -> list[float]:
        backend = RewardBackend(url, endpoint=endpoint)
        await backend.open()
        try:
            completion = await backend.complete(Request(prompt or Prompt.chat("q", prefix="so far"), Sampling(), [1]))
        finally:
            await backend.close()
        assert completion.completion_tokens == 0
        assert completion.pieces[0].text == ""
        found = completion.pieces[0].meta["rewards"]
        assert isinstance(found, list)
        return found

    return asyncio.run(with_server(told, use))


def test_forms() -> None:
    usage = {"prompt_tokens": 12, "total_tokens": 12}
    assert rewards(lambda body: {"data": [{"data": [0.25]}], "usage": usage}) == [0.25]
    assert rewards(lambda body: {"data": [{"data": [[0.9, 0.1], [0.2, 0.8]]}], "usage": usage}) == [0.2, 0.8]
    assert rewards(lambda body: {"data": [{"probs": [0.3, 0.7]}]}, "classify") == [0.3, 0.7]
    assert rewards(lambda body: {"data": [{"score": 0.5}]}, "score") == [0.5]


def test_bodies() -> None:
    seen: list[dict[str, Any]] = []

    def told(body: dict[str, Any]) -> object:
        seen.append(body)
        return {"data": [{"data": [1], "probs": [1], "score": 1}]}

    rewards(told)
    rewards(told, prompt=Prompt.raw("q\n", prefix="so far"))
    rewards(told, "score")
    assert seen == [
        {"model": "prm", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "so far"}]},
        {"model": "prm", "input": "q\nso far"},
        {"model": "prm", "text_1": "q", "text_2": "so far"},
    ]


ROWS: list[object] = [[], ["x"], [True], None]
NONSENSE: list[object] = [{}, {"data": []}, {"data": [{}]}, [], "no", *({"data": [{"data": row}]} for row in ROWS)]


@pytest.mark.parametrize("answer", NONSENSE)
def test_nonsense_is_lost(answer: object) -> None:
    with pytest.raises(Lost):
        rewards(lambda body: web.json_response(answer))


def test_errors_carry_the_servers_words() -> None:
    with pytest.raises(BackendError, match="no such model"):
        rewards(lambda body: web.json_response({"error": {"message": "no such model", "code": 404}}, status=404))
    with pytest.raises(Lost):
        rewards(lambda body: web.Response(body=b'{"data": [{"data": [NaN]}]}', content_type="application/json"))


def test_names() -> None:
    assert backend_of("score:http://localhost:1#m").name == "score:http://localhost:1#m"
    with pytest.raises(UnknownName, match="endpoint"):
        backend_of("rank:http://localhost:1#m")
    with pytest.raises(BadInput, match="#"):
        backend_of("pooling:http://localhost:1")


def test_search_under_a_reward_model() -> None:
    def told(body: dict[str, Any]) -> object:
        node = WORLD.node("p", body["messages"][-1]["content"].replace("<r>", ""))
        assert body["messages"][-1]["content"].endswith("<r>")
        score = 0.0 if node is None or node.score is None else node.score
        return {"data": [{"data": [[1 - score, score]]}], "usage": {"prompt_tokens": 7}}

    async def use(url: str) -> Result:
        verifier, roles = Reward(mark="<r>"), {"prm": f"pooling:{url}"}
        async with Session(SimulatedBackend(WORLD), task=WORLD.task, verifier=verifier, roles=roles) as session:
            return await session.solve(WORLD.problems[0], "beam_search", width=8, branching=8)

    found: Result = asyncio.run(with_server(told, use))
    assert found.answer == "gold"
    assert found.confidence == pytest.approx(0.9)
    assert found.usage.calls == 16 + 3


@pytest.mark.parametrize(
    ("model", "verifier", "roles", "error"),
    [
        (
            "able",
            Reward(),
            {"prm": "able"},
            r"reward.*, of its prm, needs rewards, and simulated gives text; .*pooling:URL#name.*verdict",
        ),
        ("able", Reward(), {"prm": "numbers"}, None),
        ("able", Judge(), {"judge": "numbers"}, r"judge.*, of its judge, needs text, and pooling:\S+#prm is a reward model"),
        ("able", Verdict(), {"prm": "numbers"}, r"verdict.*, of its prm, needs text, and pooling:.*the verifier `reward`"),
        ("numbers", Reward(), {"prm": "numbers"}, r"strategy best_of_n needs text, and pooling:"),
    ],
)
def test_numbers_and_text_are_no_substitutes(model: str, verifier: Verifier, roles: dict[str, str], error: str | None) -> None:
    """Refused before anything is sent, in both directions."""
    told: list[dict[str, Any]] = []

    async def use(url: str) -> None:
        able = SimulatedBackend(WORLD)
        backends: dict[str, Backend] = {"able": able, "numbers": RewardBackend(url)}
        players = {role: backends[name] for role, name in roles.items()}
        async with Session(backends[model], task=WORLD.task, verifier=verifier, roles=players) as session:
            if error is None:
                await session.solve(WORLD.problems[0], "best_of_n", "2 samples, 20 calls")
                assert told
                return
            with pytest.raises(Unsupported, match=error):
                await session.solve(WORLD.problems[0], "best_of_n", "2 samples, 20 calls")
        assert (told, able.calls) == ([], 0)

    def answer(body: dict[str, Any]) -> object:
        told.append(body)
        return {"data": [{"data": [0.5]}], "usage": {"prompt_tokens": 1}}

    asyncio.run(with_server(answer, use))
