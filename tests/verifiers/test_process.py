"""Process verifiers of several kinds agree with the tree that they look at; noise flips as many scores as it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from outthink.core.errors import BadInput, Unsupported
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Result, Selection
from outthink.core.strategy import strategy
from outthink.core.verifier import Verifier
from outthink.parts.traces import ROOT, Trace, grow, rate
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.tasks.countdown import CountdownTask
from outthink.testing.noised import Noised
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trees import Node, TreeVerifier, TreeWorld
from outthink.verifiers.rollouts import Rollouts
from outthink.verifiers.solver import Solver
from outthink.verifiers.step_judge import StepJudge

WORLD = TreeWorld.grown(
    {
        "p": (
            "gold",
            Node(
                below={
                    "a": Node(0.5, 0.8, {"gold": Node(0.7, 1.0), "tin": Node(0.3, 0.0)}),
                    "b": Node(0.5, 0.2, {"tin": Node(1, 0.0)}),
                }
            ),
        )
    }
)


def scores(verifier: Verifier, times: int = 40, **session: Any) -> tuple[dict[str, set[float | None]], Result]:
    """The scores that each first step gets, and the run that asked for them."""
    found: dict[str, set[float | None]] = {}

    @strategy("walk")
    async def walk(run: Run, problem: Problem) -> Selection:
        """Walk."""
        traces: Sequence[Trace] = [each for each in await grow(run, problem, [ROOT] * times) if each is not None]
        for trace in await rate(run, problem, traces):
            found.setdefault(trace.text.strip(), set()).add(trace.score)
        return Selection(None)

    async def main() -> Result:
        async with Session(SimulatedBackend(WORLD), task=WORLD.task, verifier=verifier, **session) as opened:
            return await opened.solve(WORLD.problems[0], walk)

    return found, run_virtually(main())


def test_a_judge_of_beginnings() -> None:
    found, result = scores(StepJudge())
    assert found == {"Then a": {0.8}, "Then b": {0.2}}
    assert result.usage.calls == 42, "one call for each of two beginnings"
    completes = SimulatedBackend(WORLD)
    completes._capabilities = replace(completes.capabilities, chat=False)
    with pytest.raises(Unsupported, match=r"step_judge.* needs chat"):
        scores(StepJudge(), roles={"judge": completes})


def test_rollouts_estimate_the_value() -> None:
    found, result = scores(Rollouts(400, TreeVerifier(WORLD)))
    assert found["Then b"] == {0.0}
    assert found["Then a"].pop() == pytest.approx(0.7, abs=4 * (0.7 * 0.3 / 400) ** 0.5)
    assert result.usage.samples == 40 + 800


def test_an_answer_that_has_ended_costs_no_rollout() -> None:
    """Its own outcome counts: a model that is asked to go on from its end may say anything."""
    whole: list[tuple[str, float | None]] = []

    @strategy("ends")
    async def ends(run: Run, problem: Problem) -> Selection:
        """Walk to the end."""
        traces = [each for each in await grow(run, problem, [ROOT] * 20, to_end=True) if each is not None]
        whole.extend((trace.text[-5:], trace.score) for trace in await rate(run, problem, traces))
        return Selection(None)

    async def main() -> Result:
        verifier = Rollouts(3, TreeVerifier(WORLD))
        async with Session(SimulatedBackend(WORLD), task=WORLD.task, verifier=verifier) as session:
            return await session.solve(WORLD.problems[0], ends)

    assert run_virtually(main()).usage.samples == 20
    assert {score for text, score in whole if text == "gold."} == {1.0}
    assert {score for text, score in whole if text == " tin."} == {0.0}


def test_rollouts_know_who_sees_gold() -> None:
    from outthink.verifiers.exact import Exact

    assert Rollouts(2, Exact()).oracle
    assert not Rollouts(2).oracle
    assert scores(Rollouts(2, Exact()), 2, oracle=True)[1].usage.samples >= 4
    with pytest.raises(BadInput):
        Rollouts(0)


def test_the_solver_needs_a_task_that_can_tell() -> None:
    async def main(task: object) -> Result:
        problem = Problem("make 59 from 5 6 13 25", "c")
        async with Session(SimulatedBackend(WORLD), task=task, verifier=Solver()) as opened:  # type: ignore[arg-type]  # a task
            return await opened.solve(problem, check)

    @strategy("check")
    async def check(run: Run, problem: Problem) -> Selection:
        """Check."""
        return Selection(
            str(await run.invoke("task", "value", problem=problem.id, texts=["25/5=5,5 6 13\n", "25-5=20,6 13 20\n"]))
        )

    assert run_virtually(main(CountdownTask())).answer == "[1.0, 0.0]"
    with pytest.raises(Unsupported, match="can't say"):
        run_virtually(main(WORLD.task))


@pytest.mark.parametrize("flipped", [0.0, 0.3, 1.0])
def test_noise_flips_as_often_as_it_says(flipped: float) -> None:
    own, changed, all_scores = {"Then a": 0.8, "Then b": 0.2}, 0, 0
    for seed in range(60):
        found, _ = scores(Noised(TreeVerifier(WORLD), flipped, seed=seed), 12)
        told = [(own[text], score) for text, each in found.items() for score in each]
        changed += sum(score != right for right, score in told)
        all_scores += len(told)
    assert changed / all_scores == pytest.approx(flipped, abs=4 * (flipped * (1 - flipped) / all_scores) ** 0.5)
