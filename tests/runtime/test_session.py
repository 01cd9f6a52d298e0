"""Sessions: shared budgets, resumes that share them, many runs at once, leaving, and nothing global."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outthink.api import run_anywhere, solve
from outthink.core.budget import Budget
from outthink.core.errors import BadInput, JournalLocked, JournalMismatch
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Result, Selection
from outthink.runtime.clock import run_virtually
from outthink.runtime.many import MOST_RUNS
from outthink.runtime.recorded import read_rows
from outthink.runtime.spec import RunSpec
from outthink.session import Session
from outthink.testing.simulated import Pace, SimulatedBackend
from outthink.testing.worlds import Odds, World
from tests.runtime.running import PROBLEM, WORLD, backend, chosen, run, written


def specs(count: int, budget: str = "6 samples") -> Iterator[RunSpec]:
    problems = WORLD.problems
    return (RunSpec(f"r{i}", "majority", problems[i % len(problems)], Budget.parse(budget), {}, 0, i) for i in range(count))


async def everything(session: Session, count: int, budget: str = "6 samples") -> dict[str, Result]:
    return {spec.name: result async for spec, result in session.runs(specs(count, budget), keep_samples=True)}


def session(model: SimulatedBackend, **settings: Any) -> Session:
    return Session(model, task=WORLD.task, **{"sampling": {"max_tokens": 40}, "concurrency": 8, **settings})


@pytest.mark.parametrize("limit", ["20 samples", "500 tokens", "17 calls", "0.5s"])
def test_all_runs_together_keep_the_sessions_budget(limit: str) -> None:
    model = backend(pace=Pace(first=0.1, spread=0.5))

    async def main() -> dict[str, Result]:
        async with session(model, budget=limit) as opened:
            return await everything(opened, 8)

    found, most = run_virtually(main()), Budget.parse(limit)
    assert len(found) == 8
    assert sum(result.usage.samples for result in found.values()) <= (most.samples or 10**9)
    assert sum(result.usage.most_tokens for result in found.values()) <= (most.tokens or 10**9)
    assert model.calls <= (most.calls or 10**9)
    assert any("dataset budget" in result.reason for result in found.values())
    assert model.in_flight == 0


@pytest.mark.parametrize("limit", ["30 samples", "1200 tokens", "28 calls"])
@pytest.mark.parametrize("leave_after", [0.1, 0.2, 0.35])
def test_a_resume_knows_what_every_run_had_spent(tmp_path: Path, limit: str, leave_after: float) -> None:
    models = [backend(pace=Pace(first=0.1, spread=0.9, seed=seed)) for seed in range(2)]

    async def main(model: SimulatedBackend, after: float | None) -> dict[str, Result] | None:
        async with session(model, budget=limit, journal=tmp_path / "j.db") as opened:
            try:
                async with asyncio.timeout(after):
                    return await everything(opened, 8, "8 samples")
            except TimeoutError:
                return None

    assert run_virtually(main(models[0], leave_after)) is None
    kept = sum(row.state == "ok" for _, row in read_rows(tmp_path / "j.db"))
    found, most = run_virtually(main(models[1], None)), Budget.parse(limit)
    assert found is not None
    totals = [result.usage for result in found.values()]
    assert kept <= sum(usage.samples for usage in totals) <= (most.samples or 10**9)
    assert sum(usage.most_tokens for usage in totals) <= (most.tokens or 10**9)
    assert sum(model.calls for model in models) == sum(usage.calls for usage in totals) <= (most.calls or 10**9)
    assert all(model.in_flight == 0 for model in models)


def test_leaving_twice_and_going_on_sums_the_time(tmp_path: Path) -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        for _ in range(10):
            await run.generate(problem)
        return chosen("done")

    async def main(after: float) -> Result | None:
        async with session(backend(pace=Pace(first=1.0, per_token=0.0)), journal=tmp_path / "j.db") as opened:
            try:
                async with asyncio.timeout(after):
                    return await opened.solve(PROBLEM, written(body))
            except TimeoutError:
                return None

    assert run_virtually(main(3.5)) is None
    assert run_virtually(main(4.25)) is None
    result = run_virtually(main(100))
    assert result is not None
    # Three seconds paid for, and half a one lost; then four and a quarter of one; then the last three.
    assert result.wall_seconds == pytest.approx(3.5 + 4.25 + 3, abs=0.01)
    assert (result.usage.calls, result.usage.unknown_completion_tokens) == (12, 80)


def test_a_sessions_seconds_are_summed_over_resumes(tmp_path: Path) -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        for _ in range(100):
            await run.generate(problem)
            run.offer(chosen("some"))
        return chosen("done")

    async def main(after: float | None, idle: float = 0.0) -> Result | None:
        model = backend(pace=Pace(first=1.0, per_token=0.0, spread=0.0))
        async with session(model, journal=tmp_path / "j.db", budget="10s") as opened:
            await asyncio.sleep(idle)
            try:
                async with asyncio.timeout(after):
                    return await opened.solve(PROBLEM, written(body))
            except TimeoutError:
                return None

    assert run_virtually(main(2.5)) is None
    assert run_virtually(main(0.5, idle=1.5)) is None, "time passes also where nothing is journalled"
    result = run_virtually(main(None))
    assert result is not None
    assert result.reason == "the dataset budget of seconds is spent: 10 s"
    # Two samples, then half a one, nothing, and what ten seconds less two and a half and two hold.
    assert (result.answer, result.usage.samples) == ("some", 2 + 5)
    again = run_virtually(main(None))
    assert again is not None
    assert (again.answer, again.usage, again.stop) == (result.answer, result.usage, result.stop)


def test_many_runs_are_begun_only_as_fast_as_they_run() -> None:
    taken = []

    async def main() -> int:
        def coming() -> Iterator[RunSpec]:
            for spec in specs(2000, "2 samples"):
                taken.append(spec)
                yield spec

        async with session(backend()) as opened:
            count = 0
            async for _ in opened.runs(coming()):
                count += 1
                assert len(taken) - count <= MOST_RUNS
                if count == 5:
                    break
            return len(taken)

    assert run_virtually(main()) < 100


@pytest.mark.parametrize("concurrency", [1, 2, 64])
def test_older_runs_go_first(concurrency: int) -> None:
    model = backend(pace=Pace(first=0.1, per_token=0.0))

    async def main() -> list[str]:
        async with session(model, concurrency=concurrency) as opened:
            return list(await everything(opened, 6))

    assert run_virtually(main()) == [f"r{i}" for i in range(6)]
    assert model.peak <= concurrency


def test_two_sessions_know_nothing_of_each_other(tmp_path: Path) -> None:
    async def main() -> None:
        one, other = backend(), backend(seed=1)
        async with session(one, budget="5 samples", journal=tmp_path / "1.db") as first, session(other, seed=3) as second:
            found = await asyncio.gather(everything(first, 2), everything(second, 2))
            assert [sum(result.usage.samples for result in each.values()) for each in found] == [5, 12]
            with pytest.raises(JournalLocked):
                async with session(backend(), budget="5 samples", journal=tmp_path / "1.db"):
                    pass
        assert (one.is_open, other.is_open) == (False, False)
        for change in ({"seed": 4}, {"budget": "6 samples"}, {"sampling": {"max_tokens": 41}}):
            with pytest.raises(JournalMismatch):
                async with session(backend(), **{"budget": "5 samples", **change}, journal=tmp_path / "1.db"):
                    pass

    run_virtually(main())


def test_a_wrong_combination_is_refused_before_anything_is_spent() -> None:
    model = backend()
    for budget in ("$1", "0 samples", "0 tokens", "0s"):
        with pytest.raises(Exception, match=r"prices|admits nothing"):
            run(None, budget, model=model)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="concurrency: is 0"):
        session(model, concurrency=0)
    assert model.calls == 0


async def test_solve_works_inside_a_running_loop() -> None:
    world = World({"p": Odds("a", {"a": 1.0})})
    model = SimulatedBackend(world, pace=Pace(first=0.0, per_token=0.0))
    result = solve(world.problems[0], model=model, task=world.task, budget=3)
    assert (result.answer, result.usage.samples) == ("a", 3)

    async def fails() -> None:
        raise KeyError("carried to the caller")

    with pytest.raises(KeyError, match="carried"):
        run_anywhere(fails())


@pytest.mark.parametrize("breaks", [False, True])
def test_a_model_of_several_roles_is_opened_once_and_all_are_closed(breaks: bool) -> None:
    class Counted(SimulatedBackend):
        opened = closed = 0

        async def open(self) -> None:
            self.opened += 1

        async def close(self) -> None:
            self.closed += 1
            if breaks:
                raise OSError("can't be closed")

    one, other = Counted(WORLD), Counted(WORLD)

    async def main() -> None:
        async with session(one, roles={"judge": one, "critic": other, "planner": other}):
            assert (one.opened, other.opened) == (1, 1)

    if breaks:
        with pytest.raises(OSError, match="can't be closed"):
            run_virtually(main())
    else:
        run_virtually(main())
    assert (one.closed, other.closed) == (1, 1)
