"""The Pareto front of measured strategies: which of them, at which budget, nobody beats for as much spending.

Spending is taken as known, since it hardly varies next to accuracy; chance is that of the problems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from outthink.evaluation.comparison import Rung
from outthink.evaluation.estimators import Floats

RESAMPLES = 2000
SLACK = 1.01
"""Spending up to a percent more counts as equal: the same samples in another order cost a little more or less."""
CHANCE = 0.05
"""A share of resamples below which a point is off the front for sure."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one point stands.

    on:    no other point has a higher accuracy for as much, nor the same for less
    share: of resamples of the problems in which that holds: how sure it is, and for points off the front, how surely not
    """

    on: bool
    share: float


def front(points: Sequence[Rung], *, resamples: int = RESAMPLES, seed: int = 0) -> list[Standing | None]:
    """Where each point stands among all, paired by problem: every resample draws the same problems for all points.

    Points are compared on the problems that most of them share; None for a point that was not graded on all of those.
    """
    asked = Counter(tuple(sorted(point.credit)) for point in points if point.credit)
    if not asked:
        return [None] * len(points)
    shared = max(asked, key=lambda each: (asked[each], len(each)))
    able = [at for at, point in enumerate(points) if point.credit.keys() >= set(shared)]
    credit = np.array([_of(points[at].credit, shared) for at in able])
    spent = np.array([points[at].spent for at in able])
    times = np.random.default_rng(seed).multinomial(len(shared), np.full(len(shared), 1 / len(shared)), size=resamples)
    measured = unbeaten(credit.mean(axis=1)[None], spent)[0]
    shares = unbeaten(times @ credit.T / len(shared), spent).mean(axis=0)
    found: list[Standing | None] = [None] * len(points)
    for at, on, share in zip(able, measured, shares, strict=True):
        found[at] = Standing(bool(on), float(share))
    return found


def unbeaten(accuracy: Floats, spent: Floats) -> NDArray[np.bool_]:
    """(R, K): whether each of K points is on the front, given its accuracy (R, K) in each resample and its spending (K,)."""
    on: NDArray[np.bool_] = np.ones(accuracy.shape, dtype=bool)
    for at, cost in enumerate(spent):
        as_cheap, cheaper = spent <= cost * SLACK, spent * SLACK < cost
        mine = accuracy[:, at : at + 1]
        on[:, at] &= ~np.any(accuracy[:, as_cheap] > mine + 1e-12, axis=1)
        on[:, at] &= ~np.any(accuracy[:, cheaper] >= mine - 1e-12, axis=1)
    return on


def _of(credit: Mapping[str, float], problems: Sequence[str]) -> list[float]:
    return [credit[name] for name in problems]
