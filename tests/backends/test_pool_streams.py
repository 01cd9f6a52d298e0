"""Recorded samples that are streamed: the recorded prefixes at their times, and what is left early costs what it had by then."""

from __future__ import annotations

from array import array
from typing import Any

import polars as pl
import pytest

from outthink.backends.played import RecordedSample
from outthink.backends.pool import PoolBackend
from outthink.core.backend import Delta, Identity, Request
from outthink.core.errors import PoolMiss
from outthink.core.logprobs import LogprobNeed, Logprobs
from outthink.core.operation import EventKind
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from outthink.core.selection import Result, Selection
from outthink.core.strategy import strategy
from outthink.evaluation.pool import Pool
from outthink.evaluation.recorded import RecordedTask
from outthink.evaluation.schema import shaped
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.worlds import ToyTask

PROBLEM = Problem("2+2?", id="p")
ARRAYS = Logprobs(array("f", [-0.5] * 10), array("f", [-0.5, -2.0] * 10), 2, 100)
SAMPLE = RecordedSample(
    0, "one two three", Finish.EOS, completion_tokens=10, prompt_tokens=3, seconds=5.0, summary={"mean_logprob": -0.5},
    prefixes=((3, 2), (7, 6)), logprobs=ARRAYS, step_scores=(0.5, None), language="de",
)  # fmt: skip


@strategy("reader")
async def reader(run: Run, problem: Problem, n: int = 1, most: int = 100) -> Selection:
    """Reads n streams until they end or have `most` tokens; its answer is all that it saw."""
    open_streams = dict.fromkeys([await run.start(problem, every=1) for _ in range(n)])
    seen = []
    while open_streams:
        event = await run.next(open_streams)
        if event.kind is EventKind.PARTIAL:
            seen.append(f"{event.value.text}@{event.value.tokens}")
            if event.value.tokens < most:
                continue
            seen.append((await run.cancel(event.handle)).value.finish)
        elif event.kind is EventKind.FAILED:
            assert isinstance(event.error, Exception)
            raise event.error
        else:
            seen.append(event.value[0].text)
        del open_streams[event.handle]
    return Selection("|".join(seen), "seen")


def run(*samples: RecordedSample, **parameters: Any) -> Result:
    backend = PoolBackend("test", lambda problem: samples, sleep=True)

    async def main() -> Result:
        async with Session(backend, task=ToyTask(), sampling={"max_tokens": 1000}) as session:
            return await session.solve(PROBLEM, reader, **parameters)

    return run_virtually(main())


def test_prefixes_are_revealed_in_order() -> None:
    found = run(SAMPLE)
    assert found.answer == "one@2|one two@6|one two three@10|one two three"
    assert (found.usage.completion_tokens, found.usage.seconds) == (10, 5.0)


def test_only_what_was_consumed_is_charged() -> None:
    found = run(SAMPLE, most=6)
    assert found.answer == "one@2|one two@6|cancelled"
    assert (found.usage.completion_tokens, found.usage.unknown_completion_tokens) == (6, 0)


def test_streams_run_beside_each_other_at_their_own_pace() -> None:
    slow = RecordedSample(1, "slow", Finish.EOS, completion_tokens=10, seconds=50.0, prefixes=((2, 5),))
    found = run(SAMPLE, slow, n=2)
    assert found.answer == "one@2|one two@6|one two three@10|one two three|sl@5|slow@10|slow"


def test_what_cannot_be_streamed_is_a_miss() -> None:
    with pytest.raises(PoolMiss, match="no prefixes of sample 0"):
        run(RecordedSample(0, "one", Finish.EOS, completion_tokens=10))


def request(**more: Any) -> Request:
    return Request(
        Prompt.chat("2+2?"), Sampling(max_tokens=more.pop("max_tokens", 100)), [1], identity=Identity("p", 0, 0, "r/p/0"), **more
    )


async def test_streams_need_recorded_times() -> None:
    def watch(_: Delta) -> bool:
        return False

    pool = PoolBackend("test", lambda _: [SAMPLE])
    with pytest.raises(PoolMiss, match="sleep=True"):
        await pool.complete(request(watch=watch, looked_at=True))
    assert not pool.capabilities.stream


async def test_a_limit_at_a_recorded_prefix_leaves_its_text() -> None:
    pool = PoolBackend("test", lambda _: [SAMPLE])
    (piece,) = (await pool.complete(request(max_tokens=6))).pieces
    assert (piece.text, piece.finish, piece.tokens) == ("one two", Finish.LENGTH, 6)
    (piece,) = (await pool.complete(request(max_tokens=5))).pieces
    assert (piece.text, piece.tokens) == ("", 5)


async def test_arrays_are_given_where_they_were_kept() -> None:
    pool = PoolBackend("test", lambda _: [SAMPLE], alternatives=2)
    (piece,) = (await pool.complete(request(logprobs=LogprobNeed(2, keep=True)))).pieces
    assert piece.logprobs == ARRAYS
    (piece,) = (await pool.complete(request(logprobs=LogprobNeed(2)))).pieces
    assert (piece.logprobs, piece.summary) == (None, {"mean_logprob": -0.5})
    assert (piece.meta["step_scores"], piece.meta["language"]) == ([0.5, None], "de")
    with pytest.raises(PoolMiss, match="not the arrays"):
        await pool.complete(request(logprobs=LogprobNeed(3, keep=True)))


async def test_what_a_stream_revealed_is_answered_by_the_task_of_the_recording() -> None:
    row = {"problem_id": "p", "problem": "2+2?", "gold": "four", "model": "m", "sample_index": 0, "finish": "eos",
           "correct": True, "answer": "four", "answer_class": "four",
           "text": "The answer is five. No: The answer is four."}  # fmt: skip
    pool, problem = Pool(shaped(pl.DataFrame([row]), {}, "pool")), Problem("2+2?", id="p", gold="four")
    task = RecordedTask(pool, ToyTask())
    assert [answer.text for answer in await task.answers(problem, [row["text"], "The answer is five. No"], [])] == [
        "four",
        "five",
    ]
    assert await task.grade(problem, ["four", "five", None]) == [True, False, False]
    for other in (RecordedTask(pool), task):
        with pytest.raises(PoolMiss, match="holds no answer"):
            await other.answers(problem, ["The answer is six."], [])
