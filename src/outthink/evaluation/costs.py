"""What accuracy costs: accuracy per token and per money, the cost of a right answer, and what selection leaves on the table."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import Floats
from outthink.evaluation.intervals import RESAMPLES, Interval, difference


def accuracy_per(credit: ArrayLike, spent: ArrayLike, unit: float = 1.0, *, seed: int = 0) -> Interval:
    """Right answers per unit spent: summed credit over summed spending, with a bootstrap interval over problems.

    credit, spent: (P,) of the same problems;  unit: 1000 for "per thousand tokens", 1 for "per USD"

    The ratio of sums, not the mean of ratios: a problem that cost next to nothing would decide that alone. Raises BadInput
    where nothing was spent.
    """
    right, cost = _paired(credit, spent)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(right), np.full(len(right), 1 / len(right)), size=RESAMPLES)
    sums = times @ cost
    if float(cost.sum()) <= 0:
        raise BadInput("nothing was spent", where="accuracy per spending")
    low, high = np.quantile((times @ right)[sums > 0] / sums[sums > 0], [0.025, 0.975])
    return Interval(unit * float(right.sum() / cost.sum()), unit * float(low), unit * float(high))


def cost_of_pass(accuracy: ArrayLike, usd: ArrayLike) -> Floats:
    """(P,) expected money until one answer is right, usd / accuracy per problem; infinite where none ever is (arXiv:2504.13359).

    accuracy: (P,) chance that one attempt is right;  usd: (P,) money of one attempt
    """
    right, cost = _paired(accuracy, usd)
    if bool(np.any((right < 0) | (right > 1))):
        raise BadInput("a chance must lie between 0 and 1", where="cost of pass")
    made = np.full(len(right), np.inf)
    np.divide(cost, right, out=made, where=right > 0)
    return made


def frontier_cost_of_pass(costs: Mapping[str, ArrayLike]) -> tuple[float, dict[str, float]]:
    """The mean over problems of the cheapest one's cost of pass, and by name how much more it would be without that one.

    costs: (P,) cost of pass by model or strategy
    """
    table = np.stack([np.asarray(each, dtype=np.float64) for each in costs.values()])
    least = float(table.min(axis=0).mean())
    without = {}
    for at, name in enumerate(costs):
        others = np.delete(table, at, axis=0)
        without[name] = float(others.min(axis=0, initial=np.inf).mean()) - least if np.isfinite(least) else np.nan
    return least, without


def coverage_selection_gap(coverage: ArrayLike, credit: ArrayLike) -> Interval:
    """How much a perfect chooser would add to this selector, for the same samples, paired by problem."""
    return difference(coverage, credit)


def _paired(credit: ArrayLike, spent: ArrayLike) -> tuple[Floats, Floats]:
    right, cost = np.asarray(credit, dtype=np.float64), np.asarray(spent, dtype=np.float64)
    if right.ndim != 1 or right.shape != cost.shape or not len(right):
        raise BadInput(f"{right.shape} and {cost.shape} are not one number per problem each", where="spending")
    if not bool(np.all(np.isfinite(right)) and np.all(np.isfinite(cost) & (cost >= 0))):
        raise BadInput("credit and spending must be finite, and spending 0 or more", where="spending")
    return right, cost
