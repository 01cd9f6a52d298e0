"""Score and Invoke: verifiers, bound roles and the grader, and what they may do wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from outthink.core.capability import Capabilities
from outthink.core.errors import BadInput, MissingRole, OracleRefused, UnknownName, Unsupported
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.selection import Selection, Stop
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.worlds import ToyVerifier
from outthink.verifiers.judge import Judge
from outthink.verifiers.verdict import Verdict
from tests.runtime.running import PROBLEM, WORLD, backend, chosen, run


class Nosy:
    """A verifier that keeps what it was given, and gives what it was told to."""

    name, oracle, logprobs, roles = "nosy", False, None, frozenset[str]()

    def __init__(self, scores: Any) -> None:
        self.scores, self.seen = scores, []

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> Any:
        self.seen.append(problem)
        if isinstance(self.scores, Exception):
            raise self.scores
        return self.scores


async def scores(run: Run, problem: Problem) -> Selection:
    assert problem.gold is None
    return chosen(await run.score(problem, await run.generate(problem, 2)))


async def scores_in_children(run: Run, problem: Problem) -> Selection:
    return (await run.all([lambda child: scores(child, problem)]))[0] or chosen()


@pytest.mark.parametrize("body", [scores, scores_in_children])
def test_verifiers_that_are_wrong(body: Any) -> None:
    assert run(body, verifier=Nosy([float("nan"), float("inf")])).answer == "[None, None]"
    assert run(body, verifier=Nosy([True, 0])).answer == "[1.0, 0.0]"
    assert "nosy gave 1 scores for 2 samples" in run(body, verifier=Nosy([1.0])).reason
    assert "verifier nosy raised ValueError: odd" in run(body, verifier=Nosy(ValueError("odd"))).reason
    assert "verifier nosy raised" in run(body, verifier=Nosy(["high", "low"])).reason
    with pytest.raises(MissingRole):
        run(body)


def test_gold_answers_go_to_the_grader_alone() -> None:
    seen = Nosy([0.0, 0.0])

    async def grades(run: Run, problem: Problem) -> Selection:
        await scores(run, problem)
        return chosen(await run.invoke("grader", "grade", answers=["a", "b", None]))

    with pytest.raises(OracleRefused):
        run(grades, verifier=seen)
    assert run(grades, verifier=seen, oracle=True).answer == "[True, False, False]"
    assert all(problem.gold is None for problem in seen.seen)


class Plain(SimulatedBackend):
    """Takes raw text and gives no more than text."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(chat=False, raw=True, logprobs=3)


def test_every_role_that_is_named_is_checked_before_anything_is_spent() -> None:
    able, plain = backend(), Plain(WORLD)
    toy = ToyVerifier({})

    def refused(error: type[Exception], match: str, strategy: str, **how: Any) -> None:
        parameters = how.pop("parameters", {})
        with pytest.raises(error, match=match):
            run(None, 4, around=lambda session: session.solve(PROBLEM, strategy, 4, **parameters), model=able, **how)

    target = {"verifier": toy, "parameters": {"target": "large"}}
    refused(MissingRole, r"strategy atts needs the role 'large'; bind it by .*--role large=MODEL", "atts", **target)
    refused(Unsupported, "atts, of its large, needs prefix .*the embedded model, vLLM", "atts", **target, roles={"large": plain})
    refused(MissingRole, "strategy atts needs the role 'large'", "atts", **target, roles={"large": Tools()})
    refused(Unsupported, "verifier judge.*, of its judge, needs chat", "best_of_n", verifier=Judge(), roles={"judge": plain})
    refused(MissingRole, "verifier verdict.* needs the role 'prm'", "best_of_n", verifier=Verdict())
    refused(MissingRole, "strategy ets needs the role 'embedder'", "ets", verifier=toy, parameters={"embedder": True})
    refused(MissingRole, "strategy ab_mcts_a needs the role 'other'", "ab_mcts_a", verifier=toy, parameters={"roles": ["other"]})
    refused(Unsupported, "verifier solver.* and task toy can't say", "best_of_n", verifier="solver")
    refused(Unsupported, "verifier rollouts.* and task toy can't say", "best_of_n", verifier="rollouts")
    refused(Unsupported, "of its prm, needs log-prob.* with 20 alt", "best_of_n", verifier=Verdict(), roles={"prm": plain})
    asks = {"parameters": {"judge": "model"}, "roles": {"judge": plain}}
    refused(Unsupported, "strategy deepprune, of its judge, needs chat", "deepprune", **asks)
    refused(UnknownName, "no parameter of atts is called 'targe'", "atts", verifier=toy, parameters={"targe": "large"})
    assert able.calls == plain.calls == 0


class Tools:
    async def pair(self, x: int) -> Any:
        return (x, {1: x}, "\ud800")

    async def slow(self) -> None:
        await asyncio.sleep(100)

    async def fail(self) -> None:
        raise OSError("no such disk")

    async def _private(self) -> None: ...


def test_bound_roles_give_json_and_keep_the_deadline(tmp_path: Path) -> None:
    async def body(run: Run, problem: Problem) -> Selection:
        return chosen(await run.invoke("tools", "pair", x=3))

    answers = [run(body, roles={"tools": Tools()}, journal=tmp_path / "j.db").answer for _ in range(2)]
    assert answers == ["[3, {'1': 3}, '?']"] * 2

    async def too_slow(run: Run, problem: Problem) -> Selection:
        run.offer(chosen("offered"))
        await run.invoke("tools", "slow")
        return chosen("never")

    result = run(too_slow, "3s", roles={"tools": Tools()})
    assert (result.answer, result.stop, result.wall_seconds) == ("offered", Stop.BUDGET, pytest.approx(3))

    async def fails(run: Run, problem: Problem) -> Selection:
        with pytest.raises(BadInput):
            await run.invoke("tools", "_private")
        with pytest.raises(MissingRole):
            await run.invoke("nobody", "x")
        await run.invoke("tools", "fail")
        return chosen()

    assert run(fails, roles={"tools": Tools()}).reason == "role tools failed: OSError: no such disk"
