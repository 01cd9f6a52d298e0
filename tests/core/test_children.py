"""Children of a run: Run.all and Run.first, nested, cut, failing and left, through the real interpreter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from outthink.core.errors import Cut, ForeignAwait, NoAnswer
from outthink.core.operation import EventKind
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection, Stop
from tests.runtime.running import PROBLEM, backend, chosen, run


def asks(n: int = 1, **sampling: Any) -> Callable[[Run], Any]:
    async def body(run: Run) -> int:
        return len(await run.generate(PROBLEM, n, **sampling))

    return body


async def fails(run: Run) -> int:
    await run.generate(PROBLEM)
    raise NoAnswer("this child gives up")


def test_all_gives_results_in_order_and_keys_in_program_order() -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        assert await run.all([]) == []
        assert await run.all([asks(3), asks(1), asks(2)]) == [3, 1, 2]
        return chosen("done")

    result = run(body)
    assert [str(sample.key) for sample in result.samples] == [
        "p0/0.0#0", "p0/0.0#1", "p0/0.0#2", "p0/1.0#0", "p0/2.0#0", "p0/2.0#1",
    ]  # fmt: skip


def test_a_child_cut_by_its_own_budget_gives_nothing_and_the_others_go_on() -> None:
    async def greedy(run: Run) -> str:
        await run.generate(PROBLEM, 2)
        await run.generate(PROBLEM, 2)
        return "never"

    async def modest(run: Run) -> str:
        await run.generate(PROBLEM, 2)
        return "fine"

    async def body(run: Run, problem: Problem) -> Selection:
        assert await run.all([greedy, modest], budget="2 samples") == [None, "fine"]
        assert run.spent.samples == 4
        return chosen("done")

    result = run(body)
    assert (result.answer, result.stop) == ("done", Stop.FINISHED)
    assert result.repeatable is False, "a budget bound"


def test_a_wider_budget_ends_everything() -> None:
    ended = []

    async def body(run: Run, problem: Problem) -> Selection:
        run.offer(chosen("early"))
        try:
            await run.all([asks(2), asks(2), asks(2)])
            await run.all([asks(2), asks(2)])
        except Exception:  # noqa: BLE001  # a cut must not be caught here
            ended.append("swallowed")
        finally:
            ended.append("left")
        return chosen("never")

    model = backend()
    result = run(body, "6 samples", model=model)
    assert (result.answer, result.stop, ended) == ("early", Stop.BUDGET, ["left"])
    assert (model.in_flight, result.usage.samples) == (0, 6)


def test_an_error_leaves_the_siblings() -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        with pytest.raises(NoAnswer):
            await run.all([fails, asks(8, max_tokens=40), asks(8)])
        await run.generate(problem)
        return chosen("done")

    model = backend()
    result = run(body, model=model)
    assert result.answer == "done"
    assert model.cancelled > 0
    assert model.in_flight == 0


def test_first_takes_what_is_accepted_and_leaves_nested_losers() -> None:
    cleaned = []

    async def nested(run: Run) -> str:
        try:
            await run.all([asks(4), lambda inner: inner.first([asks(4), asks(4)])])
        finally:
            cleaned.append("nested")
            await run.generate(PROBLEM)  # whatever a loser still asks for is refused
        return "late"

    async def streams(run: Run) -> str:
        begun = [await run.start(PROBLEM, every=1) for _ in range(3)]
        while True:
            event = await run.next(begun[:1])
            if event.kind is not EventKind.PARTIAL:
                return "stream"

    async def quick(run: Run) -> str:
        await run.generate(PROBLEM, max_tokens=1)
        return "quick"

    model = backend()

    async def body(run: Run, problem: Problem) -> Selection:
        won = await run.first([nested, streams, quick], accept=lambda value: value != "stream")
        assert (won, cleaned, model.in_flight) == ("quick", ["nested"], 0)
        assert await run.first([quick, quick], accept=lambda value: False) is None
        return chosen(won)

    result = run(body, model=model)
    assert result.answer == "quick"
    assert model.in_flight == 0


def test_a_child_that_ends_leaves_nothing_running() -> None:
    model = backend()

    async def careless(run: Run) -> str:
        await run.start(PROBLEM)
        await run.generate(PROBLEM, max_tokens=1)
        return "gone"

    async def body(run: Run, problem: Problem) -> Selection:
        await run.all([careless])
        assert model.in_flight == 0
        return chosen("done")

    assert run(body, model=model).answer == "done"


def test_grandchildren_cut_by_their_parents_budget_are_left_at_once() -> None:
    model = backend()

    async def parent(run: Run) -> str:
        await run.all([asks(1, max_tokens=40), asks(2, max_tokens=1), asks(2, max_tokens=1)])
        return "never"

    async def body(run: Run, problem: Problem) -> Selection:
        assert await run.all([parent, asks(1, max_tokens=1)], budget="3 samples") == [None, 1]
        assert model.in_flight == 0
        return chosen("done")

    assert run(body, model=model).answer == "done"


@pytest.mark.parametrize("within", ["run", "child"])
def test_awaiting_something_foreign_names_the_line(within: str) -> None:
    async def foreign(*_: object) -> Selection:
        await asyncio.sleep(0)
        return chosen()

    async def body(run: Run, problem: Problem) -> Selection:
        if within == "run":
            return await foreign()
        return (await run.all([foreign]))[0] or chosen()

    with pytest.raises(ForeignAwait, match=r"test_children\.py:\d+: a strategy can only await"):
        run(body)


def test_a_cut_cannot_be_outrun() -> None:
    asked = []

    async def body(run: Run, problem: Problem) -> Selection:
        for _ in range(5):
            try:
                await run.generate(problem, 4)
            except Cut as cut:
                asked.append(str(cut))
        return chosen("stubborn")

    model = backend()
    result = run(body, "6 samples", model=model)
    assert model.calls == 6
    assert len(asked) == 3
    assert len(set(asked)) == 1
    assert result.cut
