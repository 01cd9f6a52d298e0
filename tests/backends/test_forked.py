"""Forked sequences of a real model, the tiny one: exact against llama.cpp's server core, each sample as if it were alone."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numpy", reason="forked sequences need the extra `forked`")
pytest.importorskip("xllamacpp", reason="forked sequences need the extra `forked`")

from outthink.backends.forked import ForkedBackend
from outthink.backends.forked.context import BATCH, Context, Entry
from outthink.backends.forked.library import _DEFAULTS, library
from outthink.backends.forked.memory import Memory
from outthink.backends.llamacpp import LlamaCppBackend
from outthink.backends.weights import model_file
from outthink.core.backend import Completion, Delta, Request
from outthink.core.errors import BadInput, InternalError, Lost, Permanent, Refused, Unsupported
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Message, Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from outthink.models import backend_of
from outthink.session import Session
from outthink.tasks import countdown, load

TINY = model_file("tiny")
TASK = load("countdown")
PROBLEMS = countdown.problems(6, seed=2)
NEED = LogprobNeed(top=5, keep=True, first=True)
NEAR = 2e-3
"""Of a probability. What is computed together changes the last bits of a number, and through rounding to 8 bits a little more."""


def asking(prompt: Prompt, seed: int = 1, need: LogprobNeed | None = None, **given: object) -> Request:
    return Request(prompt, Sampling().but(**({"temperature": 0.0, "max_tokens": 64} | given)), [seed], logprobs=need)


@pytest.fixture
async def forked() -> AsyncIterator[ForkedBackend]:
    backend = ForkedBackend("tiny", slots=16, context=128, threads=1, precise=True)
    await backend.open()
    yield backend
    await backend.close()


async def until_idle(backend: ForkedBackend) -> None:
    while backend.live:  # noqa: ASYNC110  # the decoder has no event to wait for
        await asyncio.sleep(0.001)


def near(one: Completion, other: Completion, tolerance: float = NEAR) -> None:
    """Same text, end and counts, and probabilities as near as 8 bits get."""
    mine, theirs = one.pieces[0], other.pieces[0]
    assert (mine.text, mine.finish, mine.tokens) == (theirs.text, theirs.finish, theirs.tokens)
    assert one.prompt_tokens == other.prompt_tokens
    assert (mine.logprobs is None) == (theirs.logprobs is None)
    if mine.logprobs is not None and theirs.logprobs is not None:
        assert likely(mine.logprobs.chosen) == pytest.approx(likely(theirs.logprobs.chosen), abs=tolerance)
        assert likely(mine.logprobs.top) == pytest.approx(likely(theirs.logprobs.top), abs=tolerance)
        first, others = cast(dict[str, float], mine.meta["first_token"]), cast(dict[str, float], theirs.meta["first_token"])
        assert list(first) == list(others)
        assert likely(first.values()) == pytest.approx(likely(others.values()), abs=tolerance)


def likely(logarithms: Iterable[float]) -> list[float]:
    return [math.exp(each) for each in logarithms]


async def test_it_says_what_llama_cpps_server_core_says() -> None:
    """One by one: flash attention of 64 tokens and more at once is another kernel, here and there."""
    forked, core = backend_of("forked:tiny"), backend_of("tiny")
    await forked.open()
    await core.open()
    try:
        assert forked.capabilities.vocabulary == core.capabilities.vocabulary
        assert not forked.capabilities.chat
        prompts = [TASK.prompt(problem) for problem in PROBLEMS]
        begun = [prompt.continued("5+6=11,") for prompt in prompts[:2]]
        asked = [asking(prompt, need=NEED) for prompt in [*prompts, *begun]]
        asked += [asking(prompt, need=NEED, stop=("\n",)) for prompt in prompts]
        asked += [asking(prompt, need=NEED, max_tokens=3, presence_penalty=1.5, repeat_penalty=1.3) for prompt in prompts]
        asked += [asking(prompt, need=NEED, temperature=1.0, top_k=1) for prompt in prompts[:2]]
        for request in asked:
            near(await forked.complete(request), await core.complete(request))
        odd = Prompt.raw("¿Größe?\x07")
        assert forked.prompt_bound(odd) == core.prompt_bound(odd)
    finally:
        await core.close()
        await forked.close()


async def test_forks_are_as_if_each_were_alone(forked: ForkedBackend) -> None:
    """All at once, from few prompts, with their own seeds; then one by one in a memory that holds nothing."""
    asked = [asking(TASK.prompt(PROBLEMS[seed % 3]), seed, NEED, temperature=1.0) for seed in range(24)]
    together = await asyncio.gather(*map(forked.complete, asked))
    assert forked.computed.tokens < 0.6 * forked.computed.asked
    same = 0
    for request, found in zip(asked, together, strict=True):
        await until_idle(forked)
        forked.forget()
        alone = await forked.complete(request)
        assert alone.cached_tokens == 0
        if alone.pieces[0].text == found.pieces[0].text:  # a chance that lies on the border of two tokens may go either way
            near(found, alone, 10 * NEAR)
            same += 1
    assert same >= 22
    assert len({found.pieces[0].text for found in together}) > 12
    greedy = await asyncio.gather(*(forked.complete(asking(asked[0].prompt, seed)) for seed in range(16)))
    assert len({found.pieces[0].text for found in greedy}) == 1


async def test_what_ended_samples_left_is_gone_on_from(forked: ForkedBackend) -> None:
    prompt = TASK.prompt(PROBLEMS[0])
    before = forked.computed.tokens
    first = await forked.complete(asking(prompt, stop=("\n",)))
    cost = forked.computed.tokens - before
    assert cost == (first.prompt_tokens or 0) + (first.completion_tokens or 0) - 1  # nobody reads on after the last token
    on = await forked.complete(asking(prompt.continued(first.pieces[0].text + "\n"), stop=("\n",)))
    assert on.cached_tokens == (on.prompt_tokens or 0) - 1  # all but the newline
    assert forked.computed.tokens - before == cost + 1 + (on.completion_tokens or 0) - 1
    again = await forked.complete(asking(prompt, stop=("\n",)))
    assert again.pieces[0].text == first.pieces[0].text
    assert forked.computed.tokens - before == cost + (on.completion_tokens or 0)
    assert forked.computed.again == 0


@settings(max_examples=15)
@given(st.lists(st.lists(st.integers(5, 9), min_size=1, max_size=12), min_size=1, max_size=12))
def test_tokens_computed_are_the_distinct_ones(numbers: list[list[int]]) -> None:
    """Real tokens of random prompts that begin alike: each distinct prefix is computed once."""
    context = shared_context()
    memory = Memory(context, live=16, kept=0)
    tokens = [context.tokens("make " + " ".join(map(str, each))) for each in numbers]
    holders = [memory.admit(each, 1) for each in tokens]
    while lacking := [each for each in holders if each and memory.row(each) is None]:
        memory.compute(lacking)
    assert memory.computed.tokens == memory.size == len({tuple(each[: at + 1]) for each in tokens for at in range(len(each))})
    for holder, each in zip(holders, tokens, strict=True):
        assert holder is not None
        assert context.end(holder.sequence) == len(each)
        memory.release(holder)
    assert memory.size == 0
    assert not any(context.end(sequence) for sequence in range(context.sequences))


_contexts: list[Context] = []


def shared_context() -> Context:
    if not _contexts:
        _contexts.append(Context(TINY, cells=1024, threads=1, precise=True))
    return _contexts[0]


async def test_slots_and_cells_come_back_whatever_ends_a_sample(forked: ForkedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt, started = TASK.prompt(PROBLEMS[0]), asyncio.Event()

    def watch(_: Delta) -> bool:
        started.set()
        return False

    endless = Sampling(temperature=1.0, max_tokens=100)
    tasks = [asyncio.create_task(forked.complete(Request(prompt, endless, [seed], watch=watch))) for seed in range(40)]
    await started.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until_idle(forked)

    stopped = await forked.complete(Request(prompt, endless, [1], watch=lambda _: True))
    assert stopped.pieces[0].finish is Finish.CANCELLED
    assert (stopped.completion_tokens or 0) >= 1

    def fails(_: Delta) -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await forked.complete(Request(prompt, endless, [1], watch=fails))
    with pytest.raises(Lost, match=r"within 1e-09 s"):
        await forked.complete(Request(prompt, endless, [1], timeout=1e-9))

    assert forked._decoder is not None
    with monkeypatch.context() as patch:
        patch.setattr(forked._decoder.context._library, "decode", lambda *_: 1)
        forked.forget()
        for failed in await asyncio.gather(
            *(forked.complete(asking(TASK.prompt(each))) for each in PROBLEMS), return_exceptions=True
        ):
            assert isinstance(failed, Lost)
            assert "its memory is full" in str(failed)
            assert failed.__dict__["completion_tokens"] == 0
    assert (forked.live, forked.held) == (0, 0)
    assert (await forked.complete(asking(prompt))).pieces[0].finish is Finish.EOS
    forked.forget()
    await forked.complete(asking(Prompt.raw("1"), max_tokens=1))
    assert forked.held == 2  # the beginning token and "1": nothing else is left


async def test_a_stream_says_every_token_and_all_of_the_text(forked: ForkedBackend) -> None:
    told: list[Delta] = []
    request = Request(TASK.prompt(PROBLEMS[0]), Sampling(temperature=0.0, stop=("\n2",)), [1], logprobs=NEED,
                      watch=lambda delta: told.append(delta) or False)  # type: ignore[func-returns-value]  # fmt: skip
    found = await forked.complete(request)
    piece = found.pieces[0]
    assert "".join(delta.text for delta in told) == piece.text
    assert sum(delta.tokens for delta in told) == piece.tokens
    assert piece.logprobs is not None
    assert [value for delta in told if delta.logprobs for value in delta.logprobs.chosen] == list(piece.logprobs.chosen)


async def test_prompts_longer_than_a_batch_and_more_samples_than_slots() -> None:
    backend = ForkedBackend("tiny", slots=2, context=700, kept=0, threads=1)
    await backend.open()
    try:
        long = Prompt.raw("1 " * 300)
        found = await asyncio.gather(*(backend.complete(asking(long, seed, max_tokens=2)) for seed in range(5)))
        assert len({each.pieces[0].text for each in found}) == 1
        assert all((each.prompt_tokens or 0) > BATCH for each in found)
        with pytest.raises(Permanent, match=r"has \d+ tokens and the model's context holds 700"):
            await backend.complete(asking(Prompt.raw("1 " * 1400)))
        with pytest.raises(Permanent, match="half a character"):
            await backend.complete(asking(Prompt.raw("\ud800")))
        with pytest.raises(Permanent, match="no chat template"):
            await backend.complete(asking(Prompt.chat("make 59 from 5 6 13 25")))
        full = await backend.complete(asking(Prompt.raw("1 " * 345), max_tokens=100))
        assert (full.prompt_tokens or 0) + (full.completion_tokens or 0) <= 700
    finally:
        await backend.close()


async def test_closing_refuses_what_waits_loses_what_runs_and_leaves_no_thread(capfd: pytest.CaptureFixture[str]) -> None:
    backend = ForkedBackend("tiny", slots=1, context=128, threads=1)
    await backend.open()
    await backend.complete(asking(TASK.prompt(PROBLEMS[0])))
    started, sampling = asyncio.Event(), Sampling(temperature=5.0, max_tokens=100)

    def watch(_: Delta) -> bool:
        started.set()
        return False

    asked = [Request(Prompt.raw("1"), sampling, [seed], watch=watch) for seed in range(200)]
    tasks = [asyncio.create_task(backend.complete(request)) for request in asked]
    await started.wait()
    await backend.close()
    await backend.close()
    ended = [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)]
    done, lost = ended.count(Completion), ended.count(Lost)
    assert lost <= 1
    assert ended == [Completion] * done + [Lost] * lost + [Refused] * (200 - done - lost)
    assert ended[-1] is Refused
    assert not any(thread.name.startswith("forked") for thread in threading.enumerate())
    assert capfd.readouterr() == ("", "")
    with pytest.raises(InternalError, match="before it was opened"):
        await backend.complete(asking(Prompt.raw("1")))


def test_a_part_of_a_sequence_cannot_be_forked_out_of_its_own_memory() -> None:
    """llama.cpp would abort the process."""
    context = Context(TINY, cells=512, sequences=2, threads=1, unified=False)
    try:
        assert not context.unified
        context.decode([Entry(1, position, (0,), position == 3) for position in range(4)])
        with pytest.raises(Unsupported, match="share one memory"):
            context.fork(0, 1, 0, 2)
        assert context.end(1) == 0
        for wrong in (lambda: context.fork(0, 2, 0, 4), lambda: context.trim(-1, 0), lambda: context.decode([])):
            with pytest.raises(InternalError):
                wrong()
        with pytest.raises(InternalError, match=f"1 to {BATCH}"):
            context.decode([Entry(1, position, (0,), False) for position in range(BATCH + 1)])
    finally:
        context.close()
        context.close()


def test_a_fork_shares_and_trimming_below_it_leaves_its_sibling_whole() -> None:
    context = shared_context()
    context.clear()
    context.decode([Entry(token, position, (0,), position == 4) for position, token in enumerate([1, 20, 21, 22, 23])])
    context.fork(0, 1, 0, 4)
    alone = context.decode([Entry(23, 4, (1,), True)]).copy()
    context.trim(0, 1)
    assert (context.end(0), context.end(1)) == (1, 5)
    context.trim(0, 0)  # the parent goes, its child stays
    context.trim(1, 4)
    assert context.decode([Entry(23, 4, (1,), True)])[0] == pytest.approx(alone[0], abs=0.05)
    context.clear()
    assert context.end(1) == 0


def test_a_library_of_another_layout_is_refused_and_so_is_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_DEFAULTS, "n_batch", 4096)
    with pytest.raises(Unsupported, match="n_batch reads 2048"):
        type(library())(__import__("xllamacpp.xllamacpp", fromlist=["__file__"]).__file__)
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(TINY.read_bytes()[:200_000])
    with pytest.raises(BadInput, match="can't load this model"):
        Context(damaged, cells=256, threads=1)
    with pytest.raises(BadInput, match="at most 200"):
        ForkedBackend("tiny", slots=500)


async def test_strategies_run_on_it_and_say_what_was_shared() -> None:
    async with Session(
        "forked:tiny", task="countdown", verifier="verdict", roles={"prm": "forked:tiny-verifier"}, seed=5,
        sampling={"temperature": 1.0, "max_tokens": 64},
    ) as session:  # fmt: skip
        assert session.model == "forked:tiny"
        results = [await session.solve(problem, "beam_search", width=8, branching=2) for problem in PROBLEMS[:2]]
    for result in results:
        assert result.answer is not None
        assert result.usage.cached_tokens > 0.7 * result.usage.prompt_tokens


@pytest.mark.model
async def test_a_chat_is_written_as_the_server_core_writes_it() -> None:
    forked, core = ForkedBackend(slots=2, context=256, kept=0), LlamaCppBackend(slots=1, context=256)
    await forked.open()
    await core.open()
    try:
        turns = Prompt(messages=(Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Count: 1 2 3")))
        for prompt in (turns, Prompt.chat("Say hi.", system="Be short."), Prompt.chat("Say hi.", prefix="Hel")):
            assert forked.rendered(prompt) == core.rendered(prompt)
            assert forked.prompt_bound(prompt) == core.prompt_bound(prompt)
        mine, theirs = [await each.complete(asking(turns, need=LogprobNeed(1), max_tokens=8)) for each in (forked, core)]
        assert mine.pieces[0].text == theirs.pieces[0].text
        one, other = mine.pieces[0].logprobs, theirs.pieces[0].logprobs
        assert one is not None
        assert other is not None
        assert list(one.chosen) == pytest.approx(list(other.chosen), abs=0.05)
        assert math.isfinite(sum(one.chosen))
    finally:
        await forked.close()
        await core.close()
