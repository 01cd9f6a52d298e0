"""Fits maps from a process verifier's scores to chances, one per depth, and says what they mend on problems not fitted to.

Labels come from `step_labels`; reading maps and applying them to a run is `outthink.parts.calibration`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from outthink.core.errors import BadInput
from outthink.core.given import whole
from outthink.evaluation.estimators import Floats
from outthink.evaluation.intervals import Interval
from outthink.evaluation.step_labels import StepLabels
from outthink.parts.calibration import Calibration, Line, log_odds

FOLDS, BINS, RESAMPLES = 5, 10, 1000
LEAST = 100
"""Labels below which a depth has no map of its own."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What maps do at one depth (0: all): the share of good steps, and the expected calibration error (10 bins, arXiv:1706.04599)
    of scores before and after, with 95% intervals over problems. It is biased upwards near 0, so that the change looks smaller
    than it is. before and change: None where scores are no chances."""

    depth: int
    labels: int
    good: float
    before: Interval | None
    after: Interval
    change: Interval | None


def fit(labels: StepLabels, *, least: int = LEAST, notes: dict[str, str] | None = None) -> Calibration:
    """Maps by maximum likelihood, Platt's targets; one per depth with at least `least` labels of both kinds, and a pooled one.

    Raises BadInput where there are too few labels, or all are alike.
    """
    least, share = whole("least", least, 2), float(labels.good.mean())
    if len(labels.good) < least or not 0 < share < 1:
        raise BadInput(
            f"{len(labels.good)} labelled steps, of which {share:.0%} are good: give at least {least}, and some of both kinds",
            where="calibration",
        )
    scale = "chance" if bool(np.all((labels.score >= 0) & (labels.score <= 1))) else "number"
    x = _scaled(labels.score, scale)
    depths = {}
    for depth in np.unique(labels.depth).tolist():
        of = labels.depth == depth
        if of.sum() >= least and 0 < labels.good[of].mean() < 1:
            depths[int(depth)] = _line(x[of], labels.good[of])
    told = {"truth": labels.truth, "problems": str(len(np.unique(labels.problem))), **(notes or {})}
    return Calibration(labels.verifier, scale, _line(x, labels.good), depths, told)


def _scaled(scores: Floats, scale: str) -> Floats:
    return np.asarray([log_odds(score) for score in scores] if scale == "chance" else scores, dtype=np.float64)


def _line(x: Floats, good: Floats) -> Line:
    positive = float(good.sum())
    negative = len(good) - positive
    # Platt's targets: of separable labels the likelihood alone has no maximum.
    target = good * (positive + 1) / (positive + 2) + (1 - good) / (negative + 2)
    centre, spread = float(x.mean()), float(x.std()) or 1.0
    z = (x - centre) / spread

    def loss(weights: Floats) -> tuple[float, Floats]:
        odds = weights[0] * z + weights[1]
        gap = expit(odds) - target
        return float((np.logaddexp(0.0, odds) - target * odds).mean()), np.asarray([(gap * z).mean(), gap.mean()])

    found = minimize(loss, np.asarray([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.0, None), (None, None)])
    slope = float(found.x[0]) / spread
    return Line(slope, float(found.x[1]) - slope * centre, len(good))


def cross_fitted(labels: StepLabels, *, least: int = LEAST, seed: int = 0) -> list[Effect]:
    """What maps do to problems that they were not fitted to: each fifth of the problems under maps fitted to the others."""
    problems = np.unique(labels.problem)
    if len(problems) < FOLDS:
        raise BadInput(f"{len(problems)} problems are labelled; to check maps takes {FOLDS}", where="calibration")
    fold = np.random.default_rng(seed).permutation(len(problems)) % FOLDS
    own = fold[np.searchsorted(problems, labels.problem)]
    mapped = np.zeros(len(labels.score))
    for each in range(FOLDS):
        maps = fit(labels.part(own != each), least=least)
        mapped[own == each] = calibrated(maps, labels.part(own == each))
    return effects(labels, mapped, seed=seed)


def calibrated(maps: Calibration, labels: StepLabels) -> Floats:
    """(N,) calibrated scores."""
    pairs = zip(labels.score.tolist(), labels.depth.tolist(), strict=True)
    return np.asarray([maps.chance(score, depth) for score, depth in pairs], dtype=np.float64)


def effects(labels: StepLabels, mapped: Floats, *, seed: int = 0) -> list[Effect]:
    """Calibration errors before and after, by depth and of all."""
    made = []
    for depth in [*np.unique(labels.depth).tolist(), 0]:
        of = labels.depth == depth if depth else np.ones(len(mapped), dtype=np.bool_)
        problem, good, score = labels.problem[of], labels.good[of], labels.score[of]
        after = _errors(problem, good, mapped[of], seed)
        before = _errors(problem, good, score, seed) if bool(np.all((score >= 0) & (score <= 1))) else None
        made.append(
            Effect(
                int(depth), int(of.sum()), float(good.mean()), None if before is None else _interval(before), _interval(after),
                None if before is None else _interval(after - before),
            )
        )  # fmt: skip
    return made


def _errors(problem: NDArray[np.int64], good: Floats, said: Floats, seed: int) -> Floats:
    """(1 + RESAMPLES,) the expected calibration error, as it is and of resampled problems."""
    within = np.clip(np.ceil(said * BINS).astype(np.int64) - 1, 0, BINS - 1)
    _, row = np.unique(problem, return_inverse=True)
    many = int(row.max()) + 1
    gaps, counts = np.zeros((many, BINS)), np.bincount(row, minlength=many).astype(np.float64)
    np.add.at(gaps, (row, within), good - said)
    weights = np.random.default_rng(seed).multinomial(many, np.full(many, 1 / many), size=RESAMPLES)
    drawn = np.abs(weights @ gaps).sum(axis=1) / np.maximum(weights @ counts, 1.0)
    return np.concatenate([[np.abs(gaps.sum(axis=0)).sum() / counts.sum()], drawn])


def _interval(errors: Floats) -> Interval:
    low, high = np.quantile(errors[1:], [0.025, 0.975])
    return Interval(float(errors[0]), min(float(low), float(errors[0])), max(float(high), float(errors[0])))
