"""Where one more sample or round is no longer worth it (arXiv:2505.20522): the saturation point of any law.

A gain that is worth its cost is cost / value: with a right answer worth V and one more sample costing c, `gain` is c / V.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from outthink.core.errors import BadInput, PredictionRefused
from outthink.evaluation.intervals import Interval
from outthink.laws.law import Law, band
from outthink.laws.parameters import Floats

_CLOSED = ("parallel_saturation", "sequential_saturation")


def saturation_point(p: float, ceiling: float, gain: float) -> int:
    """The smallest N with ceiling p (1 - p)^N <= gain: TTSPM's closed form. Raises BadInput for what is no share.

    A gain below that doesn't mean being near the ceiling: up to gain / p is left.
    """
    if not (0 < p <= 1 and 0 < ceiling <= 1 and gain > 0):
        raise BadInput(f"p = {p:g}, ceiling = {ceiling:g} and gain = {gain:g} must be shares above 0", where="saturation")
    if gain >= ceiling * p:
        return 0
    if p == 1:
        return 1
    n = math.ceil(math.log(gain / (ceiling * p)) / math.log1p(-p))
    # The logarithms may land a hair beside a whole number.
    while n > 0 and ceiling * p * (1 - p) ** (n - 1) <= gain:
        n -= 1
    while ceiling * p * (1 - p) ** n > gain:
        n += 1
    return n


def saturation(law: Law, gain: float) -> Interval:
    """The smallest N from which one more sample or round adds `gain` or less, with its 95% interval over problems.

    Exact for TTSPM's forms; for others the last such N within the law's reach. Draws that saturate later than that count as
    infinite. Raises PredictionRefused where the law itself doesn't saturate within its reach, and BadInput where its spend is
    not counted in whole samples or rounds.
    """
    if law.unit not in ("samples", "rounds"):
        raise BadInput(f"a law of {law.unit} has no next one; fit one of samples or rounds", where="saturation")
    if not gain > 0:
        raise BadInput(f"a gain of {gain:g} must be above 0", where="saturation")
    if law.form_name in _CLOSED:
        found = [float(saturation_point(p, ceiling, gain)) for ceiling, p in (law.values, *law.draws)]
        return band(found[0], np.array(found[1:]))
    end = int(law.largest * (1.0 if law.blocked else law.reach))
    rows = (law.values, *law.draws)
    found = [_last(lambda x, row=row: law.form.value(np.array(row), x), end, gain) for row in rows]  # type: ignore[misc]
    if math.isinf(found[0]):
        raise PredictionRefused(f"one more still adds {gain:g} or more at {end} {law.unit}, which is as far as this law goes")
    return band(found[0], np.array(found[1:]))


def _last(value: Callable[[Floats], Floats], end: int, gain: float) -> float:
    """The first N after which no gain is above `gain`, up to `end`; infinite beyond."""

    def worth(at: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        scores = value(np.concatenate([at, at + 1]))
        return scores[len(at) :] - scores[: len(at)] > gain

    # Evenly spread over the logarithm, then halved: gains rise at most once before they fall.
    at = np.unique(np.round(np.geomspace(1, max(end, 2), 60)))
    above = np.flatnonzero(worth(at))
    if not len(above):
        return 0.0 if float(value(np.array([1.0]))[0]) <= gain else 1.0
    last = int(above[-1])
    if last == len(at) - 1:
        return math.inf
    low, high = int(at[last]), int(at[last + 1])
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if worth(np.array([float(middle)]))[0] else (low, middle)
    return float(high)
