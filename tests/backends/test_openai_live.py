"""The backend against the fake server: what arrives, what breaks, and what the server is left with."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from outthink.backends.openai import OpenAIBackend
from outthink.core.backend import Backend, Delta, Request
from outthink.core.errors import BackendError, BadInput, Lost, Permanent, Refused
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from outthink.testing.fake_server import FakeServer, FakeSettings

CHAT = Prompt.chat("Case 3: which number is hidden in this case?")


def go_on(_: Delta) -> bool:
    return False


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # what a server notices has no event; the test's time limit ends a wrong wait
        await asyncio.sleep(0.001)


def ask(n: int = 1, prompt: Prompt = CHAT, seed: int = 1, **more: Any) -> Request:
    more = {"sampling": Sampling(), "timeout": 60.0} | more
    return Request(prompt, seeds=list(range(seed, seed + n)), **more)


@asynccontextmanager
async def served(largest: int = 1 << 18, **settings: Any) -> AsyncIterator[tuple[FakeServer, OpenAIBackend]]:
    async with FakeServer(FakeSettings(**settings)) as server:
        backend = OpenAIBackend(server.url, engine="vllm", largest=largest)
        await backend.open()
        try:
            yield server, backend
        finally:
            await backend.close()


async def test_one_request_many_forms() -> None:
    async with served() as (server, backend):
        assert isinstance(backend, Backend)
        assert (backend.name, backend.capabilities.context) == (f"{server.url}#fake", 32768)
        whole = await backend.complete(ask(logprobs=LogprobNeed(3)))
        deltas: list[Delta] = []
        streamed = await backend.complete(ask(logprobs=LogprobNeed(3), watch=lambda delta: bool(deltas.append(delta))))
        assert streamed.pieces == whole.pieces
        assert "".join(delta.text for delta in deltas) == whole.pieces[0].text
        assert sum(delta.tokens for delta in deltas) == whole.completion_tokens == streamed.completion_tokens
        assert whole.pieces[0].tokens == whole.completion_tokens == len(whole.pieces[0].logprobs or ())
        assert whole.pieces[0].finish is Finish.EOS
        many = await backend.complete(ask(4))
        assert len({piece.text for piece in many.pieces}) > 1
        begun = await backend.complete(ask(prompt=CHAT.continued("Let us work on it (3).\n\n")))
        assert not begun.pieces[0].text.startswith("Let us")
        raw = await backend.complete(ask(prompt=Prompt.raw("Case 3"), sampling=Sampling(max_tokens=5), logprobs=LogprobNeed(2)))
        assert (raw.pieces[0].finish, raw.completion_tokens, len(raw.pieces[0].logprobs or ())) == (Finish.LENGTH, 5, 5)
        stopped = await backend.complete(ask(sampling=Sampling(stop=("Step 2",))))
        assert stopped.pieces[0].finish is Finish.STOP
        assert "Step 2" not in stopped.pieces[0].text
        assert all(body["top_k"] == -1 for _, _, body in server.accounts.bodies)


async def test_reasoning_is_counted_and_kept_apart() -> None:
    async with served(reasoning=7, reasoning_visible=True) as (_, backend):
        for watch in (None, go_on):
            found = await backend.complete(ask(watch=watch))
            assert found.reasoning_tokens == 7
            assert found.pieces[0].meta["reasoning"] == " think" * 7
            assert "think" not in found.pieces[0].text
            spent = await backend.complete(ask(watch=watch, sampling=Sampling(max_tokens=5)))
            assert (spent.pieces[0].text, spent.pieces[0].failed, spent.completion_tokens) == ("", None, 5)


WHOLE_FAULTS: Mapping[str, type[Exception]] = {
    "rate_limit": Refused, "rate_limit_bare": Refused, "server_error": Lost, "bad_gateway_html": Lost, "error_as_200": Lost,
    "redirect_loop": Permanent, "disconnect": Lost, "hang": Lost, "half_stream": Lost, "wrong_length": Lost,
    "truncated_json": Lost, "malformed_json": Lost, "bad_utf8": Lost, "huge_body": Lost,
}  # fmt: skip
"""The kind of error of each fault; where there is none, the fault spoils single samples or nothing."""


@pytest.mark.parametrize("watch", [None, go_on])
@pytest.mark.parametrize("fault", [*WHOLE_FAULTS])
async def test_every_misbehaviour_is_a_typed_error(fault: str, watch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTTHINK_API_KEY", "sk-secret")
    kind = WHOLE_FAULTS[fault]
    async with served(faults={fault: 1.0}, huge=1 << 20, retry_after=2.5) as (server, backend):
        with pytest.raises(BackendError) as raised:
            await backend.complete(ask(watch=watch, timeout=0.2 if fault == "hang" else 60.0))
        error = raised.value
        assert "sk-secret" not in str(error)
        assert type(error) is kind
        assert error.retry_after == (2.5 if fault == "rate_limit" else None)
        if watch and isinstance(error, Lost) and fault in ("half_stream", "truncated_json", "malformed_json", "bad_utf8"):
            entry = server.accounts.entries()[0]
            assert 0 < (error.completion_tokens or 0) <= entry["delivered"]
    assert server.accounts.generating == 0


@pytest.mark.parametrize("watch", [None, go_on])
async def test_a_reply_without_choices_costs_what_it_says(watch: Any) -> None:
    async with served(faults={"empty_choices": 1.0}) as (server, backend):
        found = await backend.complete(ask(watch=watch))
        assert not any(piece and not piece.failed for piece in found.pieces)
    assert found.completion_tokens == server.accounts.generated_tokens > 0


@pytest.mark.parametrize("watch", [None, go_on])
@pytest.mark.parametrize("fault", ["null_content", "null_logprobs", "nan_logprobs"])
async def test_a_spoiled_sample_fails_by_itself(fault: str, watch: Any) -> None:
    async with served(faults={fault: 1.0}) as (_, backend):
        found = await backend.complete(ask(watch=watch, logprobs=LogprobNeed(2)))
        assert found.pieces[0].failed
        assert found.pieces[0].text == ""
        assert found.completion_tokens


@pytest.mark.parametrize("fault", ["ignores_n", "duplicate_indices"])
async def test_missing_samples_are_missing_and_never_doubled(fault: str) -> None:
    async with served(faults={fault: 1.0}) as (_, backend):
        assert len((await backend.complete(ask(4))).pieces) == 1


@pytest.mark.parametrize("watch", [None, go_on])
async def test_missing_usage_is_unknown_and_not_zero(watch: Any) -> None:
    async with served(faults={"missing_usage": 1.0}) as (_, backend):
        found = await backend.complete(ask(watch=watch))
        assert (found.prompt_tokens, found.completion_tokens, found.pieces[0].tokens) == (None, None, None)


async def test_leaving_a_stream_frees_the_server_and_counts_what_came() -> None:
    async with served(per_token=0.05, slots=1) as (server, backend):
        seen: list[Delta] = []

        def watch(delta: Delta) -> bool:
            seen.append(delta)
            return len(seen) == 3

        found = await backend.complete(ask(watch=watch, logprobs=LogprobNeed()))
        assert (found.pieces[0].finish, found.pieces[0].tokens) == (Finish.CANCELLED, 3)
        assert found.pieces[0].text == "".join(delta.text for delta in seen)
        assert (await backend.complete(ask(sampling=Sampling(max_tokens=2)))).completion_tokens == 2  # the slot is free
        assert [entry["outcome"] for entry in server.accounts.entries()] == ["cancelled", "done"]


@pytest.mark.parametrize("watch", [None, go_on])
async def test_a_cancelled_call_leaves_no_request_behind(watch: Any) -> None:
    async with served(latency=30.0) as (server, backend):
        calls = [asyncio.create_task(backend.complete(ask(watch=watch, timeout=None))) for _ in range(20)]
        await until(lambda: server.accounts.generating == 20)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: server.accounts.generating == 0)
        assert {entry["outcome"] for entry in server.accounts.entries()} == {"cancelled"}


async def test_256_waiters_reach_a_host_by_its_name() -> None:
    async with FakeServer(FakeSettings(latency=0.01)) as server:
        backend = OpenAIBackend(server.url_by_name + "#fake")
        await backend.open()
        try:
            found = await asyncio.gather(*(backend.complete(ask(seed=seed, timeout=100.0)) for seed in range(1, 257)))
        finally:
            await backend.close()
        assert len(found) == 256
        assert server.accounts.connections <= 258


async def test_nobody_there_is_refused_and_says_where() -> None:
    async with FakeServer() as server:
        url = server.url
    backend = OpenAIBackend(url + "#fake")
    with pytest.raises(Refused, match="no connection to http://127") as raised:
        await backend.open()
    assert raised.value.overloaded
    assert "ssl" not in str(raised.value)
    await backend.close()


async def test_a_wrong_key_is_permanent_and_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeServer(FakeSettings(api_key="sk-right")) as server:
        monkeypatch.setenv("OUTTHINK_API_KEY", "sk-wrong")
        backend = OpenAIBackend(server.url)
        with pytest.raises(Permanent, match="missing or wrong") as raised:
            await backend.open()
        await backend.close()
        assert (raised.value.status, "sk-wrong" in str(raised.value)) == (401, False)
        monkeypatch.setenv("OUTTHINK_API_KEY", "sk-right")
        backend = OpenAIBackend(server.url)
        await backend.open()
        assert (await backend.complete(ask())).pieces[0].failed is None
        await backend.close()


async def test_a_model_must_be_named_or_be_the_only_one() -> None:
    async with FakeServer() as server:
        with pytest.raises(BadInput, match="names the model"):
            OpenAIBackend(server.url + "#a", model="b")
        backend = OpenAIBackend(server.url + "#missing")
        await backend.open()
        with pytest.raises(Permanent, match="`missing` does not exist"):
            await backend.complete(ask())
        await backend.close()


async def test_the_bound_of_a_prompt_grows_when_a_server_reports_more() -> None:
    async with served() as (_, backend):
        prompt = Prompt.raw("x" + " y" * 5000)
        found = await backend.complete(ask(prompt=prompt, sampling=Sampling(max_tokens=1)))
        assert backend.prompt_bound(prompt) >= (found.prompt_tokens or 0) > 5000
        backend._overhead = -6000  # as if templates added nothing
        await backend.complete(ask(prompt=prompt, sampling=Sampling(max_tokens=1)))
        assert backend.prompt_bound(prompt) >= (found.prompt_tokens or 0)


@pytest.mark.model
async def test_llama_cpp_speaks_the_same_whole_and_streamed() -> None:
    pytest.importorskip("xllamacpp")
    from outthink.backends.weights import model_file
    from outthink.testing.llama_server import llama_server

    greedy = Sampling(temperature=0, max_tokens=16)
    with llama_server(model_file("embedded"), slots=2) as url:
        backend = OpenAIBackend(url)
        await backend.open()
        assert (backend.engine.name, backend.capabilities.slots, backend.capabilities.context) == ("llamacpp", 2, 2048)
        assert backend.capabilities.vocabulary == 49152
        for prompt in (Prompt.chat("Count to ten."), Prompt.chat("Count to ten.", prefix="One, two,"), Prompt.raw("1, 2, 3,")):
            request = {"prompt": prompt, "sampling": greedy, "logprobs": LogprobNeed(3), "timeout": 300.0}
            whole = await backend.complete(ask(**request))
            seen: list[Delta] = []
            streamed = await backend.complete(ask(watch=lambda delta: bool(seen.append(delta)), **request))  # noqa: B023
            assert streamed.pieces[0].text == whole.pieces[0].text == "".join(delta.text for delta in seen)
            assert whole.pieces[0].failed is None
            assert not whole.pieces[0].text.startswith("One, two,")
            assert streamed.completion_tokens == whole.completion_tokens == 16
            assert (whole.prompt_tokens or 0) <= backend.prompt_bound(prompt)
            found = whole.pieces[0].logprobs
            assert found is not None
            assert (len(found), found.k) == (16, 3)
            left = await backend.complete(ask(watch=lambda delta: True, **request))
            assert (left.pieces[0].finish, left.completion_tokens, left.prompt_tokens) == (
                Finish.CANCELLED,
                1,
                whole.prompt_tokens,
            )
        await backend.close()
