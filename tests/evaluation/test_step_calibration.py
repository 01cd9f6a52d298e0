"""Labels of steps read from pools, and maps fitted to them: exact where the truth is known, refused where it can't be had."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from outthink.api import evaluate_async
from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem
from outthink.evaluation.export import export
from outthink.evaluation.pool import VERIFIER, Pool
from outthink.evaluation.step_calibration import calibrated, cross_fitted, effects, fit
from outthink.evaluation.step_labels import StepLabels, labelled
from outthink.parts.process import Process
from outthink.testing.simulated import Pace, SimulatedBackend
from outthink.testing.trees import Node, StepTask, TreeWorld

TREE = Node(below={
    "left": Node(0.6, 0.3, {"no": Node(0.7, 0.2), "yes": Node(0.3, 0.9)}),
    "right": Node(0.4, 0.8, {"yes": Node(0.8, 0.9), "no": Node(0.2, 0.1)}),
})  # fmt: skip
FOREST = TreeWorld.grown(dict.fromkeys("abcdef", ("yes", TREE)))


class Scores(Process):
    """The tree's own."""

    def __init__(self, aggregate: str = "last") -> None:
        super().__init__("scores", aggregate)

    async def judged(self, run: Any, problem: Problem, texts: Any) -> list[float | None]:
        nodes = [FOREST.node(problem.id, text) for text in texts]
        return [None if node is None else node.score for node in nodes]


class Valued(StepTask):
    """The same task, of which a solver exists: after "left" nothing is good."""

    def value(self, problem: Problem, text: str) -> float:
        return float("left" not in text)


async def recorded(folder: Path, verifier: Process, strategy: str = "beam_search", **parameters: Any) -> Pool:
    parameters = parameters or {"width": 60, "branching": 1, "unique": False}
    await evaluate_async(
        FOREST.problems, model=SimulatedBackend(FOREST, pace=Pace(0, 0)), task=FOREST.task, verifier=verifier,
        strategies=strategy, parameters={strategy: parameters}, budgets="500 samples", journal=folder / "run.db",
    )  # fmt: skip
    await export(folder / "run.db", folder / "pool.parquet", FOREST.task, FOREST.problems, {"licence": "CC0-1.0"})
    return Pool.read(folder / "pool.parquet")


async def test_labels_of_a_recorded_search_are_what_came_of_each_step_or_what_the_task_says(tmp_path: Path) -> None:
    pool = await recorded(tmp_path, Scores())
    assert pool.metadata[VERIFIER] == "scores(aggregate=last)"
    found = labelled(pool, FOREST.task)
    assert (found.verifier, found.truth, len(found.score)) == ("scores", "outcomes", 6 * 60 * 2)
    for depth, score, worth in ((1, 0.3, 0.3), (1, 0.8, 0.8), (2, 0.2, 0.0), (2, 0.1, 0.0)):
        of = (found.depth == depth) & (found.score == score)
        n = int(of.sum())
        assert n > 20
        assert found.good[of].mean() == pytest.approx(worth, abs=4 * math.sqrt(worth * (1 - worth) / n)), (depth, score)
    assert set(found.good[(found.depth == 2) & (found.score == 0.9)]) == {1.0}
    exact = labelled(pool, Valued())
    assert exact.truth == "value"
    assert set(exact.good[exact.score == 0.8]) == {1.0}
    assert set(exact.good[exact.score == 0.3]) == {0.0}


async def test_scores_of_whole_answers_step_by_step(tmp_path: Path) -> None:
    pool = await recorded(tmp_path, Scores(), "best_of_n", n=5)
    steps = pl.Series("step_scores", [[0.3, 0.2]] * pool.frame.height, dtype=pl.List(pl.Float64))
    found = labelled(Pool(pool.frame.with_columns(steps), pool.metadata), FOREST.task)
    assert found.depth.tolist() == [1, 2] * 30
    assert found.score.tolist() == [0.3, 0.2] * 30
    wrong = pl.Series("step_scores", [[0.3]] * pool.frame.height, dtype=pl.List(pl.Float64))
    with pytest.raises(BadInput, match="1 step_scores and 2 steps"):
        labelled(Pool(pool.frame.with_columns(wrong), pool.metadata), FOREST.task)


async def test_what_can_not_be_labelled_is_refused(tmp_path: Path) -> None:
    pool = await recorded(tmp_path, Scores("min"))
    with pytest.raises(BadInput, match=r"was scored by scores\(aggregate=min\); maps are fitted to scores of single steps"):
        labelled(pool, FOREST.task)
    with pytest.raises(BadInput, match="doesn't say which verifier"):
        labelled(Pool(pool.frame, {}), FOREST.task)
    with pytest.raises(BadInput, match="can't say what an answer so far is worth; label by outcomes"):
        labelled(pool, FOREST.task, verifier="scores", truth="value")
    with pytest.raises(UnknownName):
        labelled(pool, FOREST.task, verifier="scores", truth="hope")
    with pytest.raises(BadInput, match="holds no scored step"):
        labelled(Pool(pool.frame.with_columns(score=pl.lit(None, pl.Float64)), {}), FOREST.task, verifier="scores")


def drawn(slopes: dict[int, tuple[float, float]], problems: int = 400, seed: int = 0, scale: float = 1.0) -> StepLabels:
    """Labels that follow known maps, ten per problem and depth."""
    chance = np.random.default_rng(seed)
    rows = []
    for depth, (slope, intercept) in slopes.items():
        score = chance.beta(1.2, 1.2, 10 * problems)
        odds = np.log(score / (1 - score))
        good = chance.random(len(score)) < 1 / (1 + np.exp(-(slope * odds + intercept)))
        shown = score if scale == 1.0 else scale * odds
        rows.append((np.repeat(np.arange(problems), 10), np.full(len(score), depth), shown, good.astype(float)))
    problem, depth_, score_, good_ = (np.concatenate(each) for each in zip(*rows, strict=True))
    return StepLabels(problem, depth_, score_, good_, "v", "value")


TRUE = {1: (0.5, -1.0), 2: (2.0, 0.3)}


def test_the_maps_that_made_the_labels_are_found_again() -> None:
    maps = fit(drawn(TRUE))
    for depth, (slope, intercept) in TRUE.items():
        assert maps.depths[depth].slope == pytest.approx(slope, abs=0.12)
        assert maps.depths[depth].intercept == pytest.approx(intercept, abs=0.12)
    logits = fit(drawn(TRUE, scale=40.0))
    assert (maps.scale, logits.scale) == ("chance", "number")
    assert logits.depths[2].slope == pytest.approx(2.0 / 40, abs=0.003)


def test_calibration_is_checked_on_problems_that_were_not_fitted_to() -> None:
    by_depth = {each.depth: each for each in cross_fitted(drawn(TRUE))}
    assert set(by_depth) == {0, 1, 2}
    worst = by_depth[1]
    assert worst.before is not None
    assert worst.change is not None
    assert worst.before.value > 0.15
    assert worst.after.value < 0.04
    assert worst.change.high < -0.08
    assert worst.change.value == pytest.approx(worst.after.value - worst.before.value)
    held_out, maps = drawn(TRUE, seed=1), fit(drawn(TRUE))
    assert effects(held_out, calibrated(maps, held_out))[-1].after.value < 0.03
    assert all(each.before is None and each.change is None for each in cross_fitted(drawn(TRUE, scale=40.0)))


def test_few_labels_share_a_map_and_useless_scores_get_a_flat_one() -> None:
    few = drawn({1: (1.0, 0.0), 3: (1.0, 0.0)}, 9)
    assert set(fit(few, least=91).depths) == set()
    assert set(fit(few, least=90).depths) == {1, 3}
    upside_down = fit(drawn({1: (-1.0, 0.0)}))
    assert upside_down.depths[1].slope == 0.0, "a higher score is never worth less"
    separable = drawn({1: (1.0, 0.0)}, 20)
    exact = StepLabels(separable.problem, separable.depth, separable.good, separable.good, "solver", "value")
    chances = [fit(exact).chance(score, 1) for score in (0.0, 1.0)]
    assert chances[0] is not None
    assert chances[1] is not None
    assert (chances[0], chances[1]) == (pytest.approx(0.01, abs=0.01), pytest.approx(0.99, abs=0.01))


def test_too_little_to_fit_is_refused() -> None:
    with pytest.raises(BadInput, match="90 labelled steps, of which"):
        fit(drawn({1: (1.0, 0.0)}, 9))
    labels = drawn({1: (1.0, 0.0)}, 20)
    good = StepLabels(labels.problem, labels.depth, labels.score, np.ones(200), "v", "value")
    with pytest.raises(BadInput, match="of which 100% are good"):
        fit(good)
    with pytest.raises(BadInput, match="4 problems are labelled; to check maps takes 5"):
        cross_fitted(drawn({1: (1.0, 0.0)}, 4), least=2)
