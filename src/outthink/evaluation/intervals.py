"""Means over problems with 95% intervals, and paired differences. One rule for each, stated where it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from outthink.core.errors import BadInput

Z = 1.959963984540054
RESAMPLES = 4000
_CHUNK = 1 << 22  # numbers held at once


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def wilson(right: float, n: int) -> tuple[float, float]:
    """Wilson's score interval of `right` of n independent trials."""
    if n < 1 or not 0 <= right <= n:
        raise BadInput(f"{right} of {n} trials can't be right", where="interval")
    share, z2 = right / n, Z * Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # At the ends the bounds are exact; the formula rounds.
    return (max(0.0, centre - half) if right else 0.0), (min(1.0, centre + half) if right < n else 1.0)


def accuracy(credit: ArrayLike, *, both: bool = False, seed: int = 0) -> Interval:
    """Mean credit over problems, each problem counting once.

    credit: (P,) or (P, R) in [0, 1]: R replicates of each of P problems
    both:   resample replicates within problems too. Off by default: a problem's mean already varies with its replicates, so
            resampling both counts that spread twice; on where replicates are the only ones there will ever be

    The problems are the sample: Wilson's interval where every problem is simply right or wrong, else a bootstrap over
    problems, widened by sqrt(P / (P - 1)) because a resample's spread is that much too small. Never empty: where the
    problems don't differ at all, Wilson's of P trials.
    """
    table = _table(credit)
    means = table.mean(axis=1)
    value, problems = float(means.mean()), len(means)
    if bool(np.all((means == 0) | (means == 1))) or float(np.ptp(means)) == 0.0:
        return Interval(value, *wilson(value * problems, problems))
    low, high = _bootstrap(table, both, seed)
    return Interval(value, max(0.0, low), min(1.0, high))


def difference(credit: ArrayLike, baseline: ArrayLike, *, both: bool = False, seed: int = 0) -> Interval:
    """Mean of `credit` minus `baseline` over the same problems in the same order: a paired bootstrap over problems.

    credit, baseline: (P,) or (P, R) and (P, S), in [0, 1]

    Where no problem differs from another, the interval is what that many trials without a surprise leave open:
    z^2 / (P + z^2) to both sides.
    """
    first, second = _table(credit), _table(baseline)
    if len(first) != len(second):
        raise BadInput(f"{len(first)} and {len(second)} problems can't be paired", where="difference")
    paired = first.mean(axis=1) - second.mean(axis=1)
    value, problems = float(paired.mean()), len(paired)
    if float(np.ptp(paired)) == 0.0:
        open_ = Z * Z / (problems + Z * Z)
        return Interval(value, max(-1.0, value - open_), min(1.0, value + open_))
    rows = first - second if both and first.shape == second.shape else paired[:, None]
    low, high = _bootstrap(rows, rows.shape[1] > 1, seed)
    return Interval(value, max(-1.0, low), min(1.0, high))


def _table(credit: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(credit, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.size == 0:
        raise BadInput(f"credit has the shape {table.shape} and must be problems, or problems by replicates", where="interval")
    if not bool(np.all((table >= 0) & (table <= 1))):
        raise BadInput("credit must lie between 0 and 1", where="interval")
    return table


def _bootstrap(table: NDArray[np.float64], both: bool, seed: int) -> tuple[float, float]:
    """2.5% and 97.5% quantiles of the resampled mean of (P, R), widened for small P."""
    rng = np.random.default_rng(seed)
    problems, replicates = table.shape
    means = table.mean(axis=1)
    step = max(1, _CHUNK // (problems * (replicates if both else 1)))
    found = []
    for first in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - first)
        if both:
            rows = rng.integers(problems, size=(size, problems, 1))
            found.append(table[rows, rng.integers(replicates, size=(size, problems, replicates))].mean(axis=(1, 2)))
        else:
            found.append(rng.multinomial(problems, np.full(problems, 1 / problems), size=size) @ means / problems)
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    centre, wider = float(means.mean()), math.sqrt(problems / (problems - 1))
    return centre + (float(low) - centre) * wider, centre + (float(high) - centre) * wider
