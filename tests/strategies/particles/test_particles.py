"""Particle strategies in real runs: votes are the laws they name, one trace is a plain sample, bad settings cost nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from outthink import catalogue
from outthink.core.errors import UsageError
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.selection import Result, Stop
from outthink.testing.exact import tilted
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trees import Node, TreeWorld
from outthink.testing.trials import TREES, Case, trial
from outthink.verifiers.step_judge import StepJudge
from tests.parts.particle_worlds import probability_of

NAMES = ("particle_filter", "particle_gibbs", "parallel_tempering", "fk_steering")
ROOT = TREES.trees["steep"]


class Flat:
    """A verifier that says the same of everything."""

    name, oracle, logprobs, roles = "flat", False, None, frozenset[str]()

    def __init__(self, score: float | None) -> None:
        self.says = score

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        return [self.says] * len(samples)


def ran(name: str, seed: int = 0, verifier: Any = None, world: TreeWorld = TREES, budget: str = "", **parameters: Any) -> Result:
    case = Case(catalogue.strategy(name), parameters, "tree")
    return trial(case, world=world, seed=seed, verifier=verifier, budget=budget or None).done


def odds(node: Node) -> float:
    assert node.score is not None
    return node.score / (1 - node.score)


WEIGHTS: dict[str, Callable[[Sequence[Node]], float]] = {
    "product": lambda nodes: math.prod(map(odds, nodes)),
    "final": lambda nodes: odds(nodes[-1]),
    "bernoulli": lambda nodes: math.prod(node.score or 0.0 for node in nodes),
}


@pytest.mark.parametrize("target", WEIGHTS)
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("particle_filter", {"width": 400}),
        ("particle_filter", {"width": 400, "resampling": "ssp", "ess": 0.5, "finished": "resampled", "annealed": ()}),
        ("particle_gibbs", {"width": 60, "iterations": 6}),
        ("parallel_tempering", {"width": 50, "iterations": 6, "temperatures": (3.0, 1.0)}),
    ],
    ids=str,
)
def test_votes_are_the_law(name: str, size: dict[str, Any], target: str) -> None:
    _, law = tilted(ROOT, WEIGHTS[target])
    found = ran(name, seed=3, target=target, rule="weighted", **size)
    assert found.selection is not None
    assert dict(found.selection.votes) == pytest.approx(law, abs=0.07)
    assert found.confidence == pytest.approx(max(found.selection.votes.values()))


@pytest.mark.parametrize("potential", ["diff", "max", "add", "rt", "is"])
def test_steering_reaches_its_law_by_every_potential(potential: str) -> None:
    _, law = tilted(ROOT, lambda nodes: math.exp(4 * (nodes[-1].score or 0.0)))
    for every in (1, 2):
        found = ran("fk_steering", width=400, potential=potential, strength=4.0, every=every, rule="weighted")
        assert found.selection is not None
        assert dict(found.selection.votes) == pytest.approx(law, abs=0.08)


def test_one_trace_is_a_plain_sample() -> None:
    _, law = tilted(ROOT, lambda nodes: 1.0)
    others = (("particle_gibbs", {"iterations": 1}), ("fk_steering", {"potential": "max"}), ("beam_search", {"branching": 1}))
    found = []
    for seed in range(110):
        one = ran("particle_filter", seed, width=1)
        if one.answer is not None:
            found.append(one.answer)
            for name, how in others if seed < 10 else ():
                texts = [sample.text for sample in ran(name, seed, width=1, **how).samples]
                assert texts == [sample.text for sample in one.samples]
    assert len(found) > 80
    assert probability_of(found, law) > 1e-4


def test_a_constant_verifier_leaves_traces_alone() -> None:
    for seed in range(8):
        found = ran("particle_filter", seed, Flat(0.7), rule="weighted", width=6)
        plain = ran("fk_steering", seed, Flat(0.7), potential="bon", rule="weighted", width=6)
        assert [sample.text for sample in found.samples] == [sample.text for sample in plain.samples]


def test_the_best_of_the_traces_and_a_drawn_one() -> None:
    best = [ran("particle_filter", seed) for seed in range(6)]
    assert all(one.confidence == max(dict(one.selection.votes).values()) for one in best if one.selection is not None)
    drawn = {ran("particle_filter", seed, rule="sample", width=4).answer for seed in range(30)}
    assert drawn >= {"gold", "lead"}


def test_bon_takes_the_best_of_n() -> None:
    found = ran("fk_steering", width=12, potential="bon", seed=2)
    texts = {sample.whole for sample in found.samples}
    scores = [node.score for node in (TREES.node("steep", text) for text in texts) if node and not node.below and node.score]
    assert found.confidence == max(scores)


@pytest.mark.parametrize("name", NAMES)
def test_bad_settings_are_refused_before_anything_is_spent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"rule": "bset"}, "best"),
        ({"resampling": "systematik"}, "systematic"),
        ({"finished": "again and again"}, "finished"),
        ({"ess": 2.0}, "ess"),
        ({"width": 0}, "width"),
        ({"clip": 0.7}, "clip"),
    ]
    if name != "fk_steering":
        wrong.append(({"target": "fianl"}, "final"))
    if name in ("particle_gibbs", "parallel_tempering"):
        wrong += [({"width": 1}, "width 2"), ({"iterations": 0}, "iterations")]
    if name == "parallel_tempering":
        wrong.append(({"temperatures": (1.0, 2.0)}, "hottest first"))
    monkeypatch.setattr(SimulatedBackend, "complete", lambda *_: pytest.fail("it asked for a sample"))
    for parameters, reason in wrong:
        with pytest.raises(UsageError, match=reason):
            ran(name, **parameters)


def test_scores_that_no_law_can_use() -> None:
    with pytest.raises(UsageError, match=r"3\.2 is no probability"):
        ran("particle_filter", verifier=Flat(3.2))
    assert ran("fk_steering", verifier=Flat(3.2)).stop is Stop.FINISHED
    for name in NAMES:
        silent = ran(name, verifier=Flat(None))
        assert silent.answer is None
        assert "the verifier scored none" in silent.reason


def test_a_population_that_a_budget_left_without_scores_is_no_failure() -> None:
    """The verifier's calls are cut too, in the middle of a round: some chains have scores, and another has none."""
    how: dict[str, Any] = {"width": 1, "iterations": 1, "verifier": StepJudge()}
    found = [ran("parallel_tempering", budget=f"{samples} samples", **how) for samples in range(1, 14)]
    assert {result.stop for result in found} == {Stop.BUDGET, Stop.FINISHED}
    assert any("the verifier scored none of them" in result.reason for result in found)
    assert all(result.usage.samples <= samples for samples, result in enumerate(found, start=1))


def test_compat_draws_ended_traces_again() -> None:
    short = Node(0.5, 0.9)
    root = Node(below={"short": short, "on": Node(0.5, 0.5, {"far": Node(1, 0.5, {"long": Node(1, 0.5)})})})
    world = TreeWorld.grown({"early": ("short", root)})
    shares = {compat: ran("particle_filter", world=world, width=200, rule="weighted", compat=compat) for compat in (False, True)}
    votes = {compat: dict(found.selection.votes) for compat, found in shares.items() if found.selection is not None}
    assert votes[False]["short"] == pytest.approx(0.9, abs=0.03)
    assert votes[True]["short"] > 0.99
