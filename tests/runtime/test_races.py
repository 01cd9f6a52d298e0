"""Start, Next and Cancel: partial samples, the order of events, and that nothing is left open whichever way a run ends."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from outthink.core.backend import Completion, Delta, Request
from outthink.core.capability import Capabilities
from outthink.core.errors import InternalError, JournalMismatch
from outthink.core.operation import Event, EventKind, Partial
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish
from outthink.core.selection import Result, Selection, Stop
from outthink.session import Session
from outthink.testing.simulated import Pace, SimulatedBackend
from tests.runtime.running import PROBLEM, WORLD, backend, chosen, run, written


def summary(event: Event) -> tuple[str, str, str | None]:
    sample = event.value if event.kind is not EventKind.DONE else event.value[0]
    return str(event.handle.key), str(event.kind), sample and sample.text


async def race(run: Run, problem: Problem) -> Selection:
    """Three streams; each is left at its third partial sample, but for the last one, which ends."""
    handles = [await run.start(problem, every=2) for _ in range(3)]
    told, counts = [], dict.fromkeys(handles, 0)
    waiting = list(handles)
    while waiting:
        event = await run.next(waiting)
        told.append(summary(event))
        counts[event.handle] += 1
        if event.kind is not EventKind.PARTIAL:
            waiting.remove(event.handle)
        elif counts[event.handle] == 3 and len(waiting) > 1:
            told.append(summary(await run.cancel(event.handle)))
            assert summary(await run.cancel(event.handle)) == (str(event.handle.key), "cancelled", None), "twice is harmless"
            waiting.remove(event.handle)
    return chosen(told)


def test_events_come_again_in_the_same_order(tmp_path: Path) -> None:
    model = backend()
    first = run(race, journal=tmp_path / "j.db", model=model)
    assert model.in_flight == 0
    again_model = backend(pace=Pace(spread=0.9, seed=5))
    again = run(race, journal=tmp_path / "j.db", model=again_model)
    assert again_model.calls == 0, "also what was left isn't paid for again"
    assert (again.answer, again.usage, again.samples) == (first.answer, first.usage, first.samples)
    assert not first.repeatable
    assert first.usage.completion_tokens == model.served_completion_tokens, "decoded tokens are charged"
    assert first.usage.samples == len(first.samples) == 3
    assert [sample.partial for sample in first.samples].count(True) == 2


def test_a_rule_and_a_count_say_when() -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        by_count = await run.start(problem, every=3)
        counts = []
        while (event := await run.next([by_count])).kind is EventKind.PARTIAL:
            counts.append(event.value.tokens)
        assert counts == list(range(3, 3 * len(counts) + 1, 3))
        by_rule = await run.start(problem, rule=lambda partial: partial.text.endswith("answer"))
        event = await run.next([by_rule])
        assert event.value.text.endswith("answer")
        assert event.value.partial
        event = await run.next([by_rule])
        assert event.kind is EventKind.DONE
        with pytest.raises(InternalError, match="waits for nothing"):
            await run.next([by_rule])
        quiet = await run.start(problem)
        assert (await run.next([quiet])).kind is EventKind.DONE
        return chosen("done")

    assert run(body).answer == "done"


@dataclass(frozen=True)
class Longer:
    tokens: int

    def __call__(self, partial: Partial) -> bool:
        return partial.tokens > self.tokens


def test_a_journal_knows_the_parameters_of_a_rule(tmp_path: Path) -> None:
    def until(tokens: int, every: int | None = None) -> Any:
        async def body(run: Run, problem: Problem) -> Selection:
            handle = await run.start(problem, rule=Longer(tokens), every=every)
            event = await run.next([handle])
            return chosen((await run.cancel(handle)).value.tokens if event.kind is EventKind.PARTIAL else "done")

        return body

    assert run(until(2), journal=tmp_path / "j.db").answer == "4"
    assert run(until(2), journal=tmp_path / "j.db").answer == "4"
    for other in (until(3), until(2, every=1)):
        with pytest.raises(JournalMismatch, match="was another operation"):
            run(other, journal=tmp_path / "j.db")


def test_a_slow_strategy_gets_the_newest_partial_sample() -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        handle = await run.start(problem, every=1)
        await run.generate(problem, 4, temperature=0.2)  # meanwhile pieces pile up
        await run.generate(problem, 4)
        first = await run.next([handle])
        assert first.kind is EventKind.PARTIAL
        assert first.value.tokens > 3
        last = await run.next([handle])
        assert last.value[0].tokens >= first.value.tokens
        return chosen("done")

    assert run(body, model=backend(pace=Pace(first=0.0, spread=0.0))).answer == "done"


def leaves(how: str) -> Any:
    async def body(run: Run, problem: Problem) -> Selection:
        for _ in range(5):
            await run.start(problem, every=1)
        handle = await run.start(problem, every=1)
        for _ in range(3):
            await run.next([handle])
        if how == "exception":
            raise ValueError(how)
        if how == "budget":
            await run.generate(problem, 100)
        if how == "slow":
            await run.invoke("tools", "slow")
        return chosen("done")

    return body


class Tools:
    async def slow(self) -> None:
        await asyncio.sleep(1000)


@pytest.mark.parametrize("how", ["return", "exception", "budget", "slow", "cancelled"])
def test_whichever_way_a_run_ends_the_server_is_free(tmp_path: Path, how: str) -> None:
    model = backend(pace=Pace(first=0.05, per_token=0.2, spread=0.3))

    async def cancelled(session: Session) -> Result:
        task = asyncio.create_task(session.solve(PROBLEM, written(leaves("slow"))))
        await asyncio.sleep(1.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert model.in_flight == 0
        return await session.solve(WORLD.problems[1], written(leaves("return")))

    around = cancelled if how == "cancelled" else None
    budget = {"budget": "6 samples", "slow": "1.2s"}.get(how)
    result = run(leaves(how), budget, model=model, around=around, roles={"tools": Tools()}, journal=tmp_path / "j.db")
    assert model.in_flight == 0
    assert model.calls == (12 if how == "cancelled" else 6)
    assert result.stop is {"exception": Stop.FAILED, "budget": Stop.BUDGET, "slow": Stop.BUDGET}.get(how, Stop.FINISHED)
    if how != "cancelled":
        assert result.usage.completion_tokens == model.served_completion_tokens
        calls = model.calls
        again = run(leaves(how), budget, model=model, roles={"tools": Tools()}, journal=tmp_path / "j.db")
        assert (model.calls, again.stop) == (calls, result.stop)


def test_what_is_left_keeps_within_a_budget_of_samples() -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        begun = [await run.start(problem, every=1) for _ in range(6)]
        for handle in begun[:2]:
            await run.next([handle])
        for handle in begun:
            await run.cancel(handle)
        return chosen("done")

    for pace in (Pace(), Pace(first=0.5, spread=0.9)):
        assert run(body, "2 samples", model=backend(pace=pace)).usage.samples <= 2


def test_an_error_in_what_was_started_is_told_to_whoever_waits() -> None:
    class Odd(SimulatedBackend):
        async def complete(self, request: Request) -> Completion:
            raise ZeroDivisionError("a bug of the backend's own")

    async def body(run: Run, problem: Problem) -> Selection:
        event = await run.next([await run.start(problem)])
        assert event.kind is EventKind.FAILED
        raise event.error or AssertionError

    result = run(body, "1k tokens", model=Odd(WORLD))
    assert (result.stop, "ZeroDivisionError" in result.reason) == (Stop.FAILED, True)
    assert result.usage.unknown_completion_tokens == 40, "it may have been generated all the same"


class Threaded(SimulatedBackend):
    """Sends its pieces from a thread of its own, as the embedded engine does."""

    async def complete(self, request: Request) -> Completion:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        whole = await super().complete(replace(request, watch=None))
        said: list[str] = []

        def decode() -> None:
            assert request.watch is not None
            for word in ["The ", "answer ", "is ", "a", "."]:
                said.append(word)
                if request.watch(Delta(word, 1)):
                    break
            loop.call_soon_threadsafe(ended.set)

        if request.watch is None:
            return whole
        thread = threading.Thread(target=decode)
        thread.start()
        await ended.wait()
        thread.join()
        finish = Finish.CANCELLED if len(said) < 5 else Finish.EOS
        piece = replace(whole.pieces[0], text="".join(said), tokens=len(said), finish=finish)
        return replace(whole, pieces=(piece,), completion_tokens=len(said))


def test_pieces_may_come_from_another_thread() -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        handle = await run.start(problem, every=1)
        texts = []
        while (event := await run.next([handle])).kind is EventKind.PARTIAL:
            texts.append(event.value.text)
        assert all("The answer is a.".startswith(text) for text in texts)
        return chosen(event.value[0].text)

    async def main() -> Result:
        async with Session(Threaded(WORLD, pace=Pace(first=0.0, per_token=0.0)), task=WORLD.task) as session:
            return await session.solve(PROBLEM, written(body))

    result = asyncio.run(main())
    assert (result.answer, result.reason) == ("The answer is a.", "")


def test_places_among_samples_follow_the_program(tmp_path: Path) -> None:
    """A pool answers by the place of a sample among all that a run asked for: the same live and resumed."""
    seen: list[int] = []

    class Placed(SimulatedBackend):
        async def complete(self, request: Request) -> Completion:
            assert request.identity is not None
            seen.append(request.identity.ordinal)
            return await super().complete(request)

    async def body(run: Run, problem: Problem) -> Selection:
        handle = await run.start(problem)
        await run.generate(problem, 2)
        await run.generate(problem, 1)
        await run.next([handle])
        return chosen("done")

    run(body, model=Placed(WORLD))
    assert sorted(seen) == [0, 1, 2, 3]
    assert seen[:3] == [0, 1, 2] or sorted(seen[:3]) == [0, 1, 2]


class Uncounted(SimulatedBackend):
    """Streams pieces without their tokens; it isn't told to stop, so that leaving closes the request."""

    async def complete(self, request: Request) -> Completion:
        if request.watch is None:
            return await super().complete(request)
        watch = request.watch
        untold = replace(request, watch=lambda delta: bool(watch(replace(delta, exact=False))) and False)
        return await super().complete(untold)

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, counts=False)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("pieces", [0, 2])
def test_what_a_server_did_not_count_is_unknown_and_stays_reserved(tmp_path: Path, pieces: int, counts: bool) -> None:
    class Clock:
        async def wait(self) -> None:
            await asyncio.sleep(0.5 + pieces)

    async def body(run: Run, problem: Problem) -> Selection:
        handle = await run.start(problem)
        await run.invoke("clock", "wait")
        left = (await run.cancel(handle)).value
        await run.generate(problem, None)
        return chosen(left and left.tokens)

    def once() -> Result:
        kind = SimulatedBackend if counts else Uncounted
        model = kind(WORLD, pace=Pace(first=1.0, per_token=1.0))
        result = run(body, "100 completion tokens", model=model, roles={"clock": Clock()}, journal=tmp_path / "j.db")
        served = model.served_completion_tokens
        assert not served or result.usage.completion_tokens == served
        return result

    result = once()
    unknown = 0 if counts else 40 - pieces
    assert result.usage.unknown_completion_tokens == unknown
    assert result.usage.completion_tokens + unknown <= 100
    assert result.answer == (str(pieces) if pieces and counts else None)
    assert once().usage == result.usage


def test_leaving_that_is_cut_short_leaves_nothing_behind() -> None:
    class Slow(SimulatedBackend):
        async def complete(self, request: Request) -> Completion:
            return await super().complete(
                replace(request, watch=lambda delta: bool(request.watch and request.watch(delta)) and False)
            )

    model = Slow(WORLD, pace=Pace(first=0.05, per_token=0.5))
    left = asyncio.Event()

    async def body(run: Run, problem: Problem) -> Selection:
        begun = [await run.start(problem, every=1) for _ in range(5)]
        await run.next(begun[:1])
        left.set()
        return chosen("done")

    async def twice(session: Session) -> Result:
        task = asyncio.create_task(session.solve(PROBLEM, written(body)))
        await left.wait()
        await asyncio.sleep(0.1)  # it is leaving its streams, which take their time
        assert model.in_flight == 5
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert model.in_flight == 0
        return await session.solve(WORLD.problems[1], written(body))

    run(body, model=model, around=twice)
