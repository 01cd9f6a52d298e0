"""One number from the scores of an answer's steps.

On scores in [0, 1]: product <= min <= mean <= max; all are equal for a single step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from outthink.core.errors import UnknownName

AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "product": math.prod,
    "mean": lambda scores: math.fsum(scores) / len(scores),
    "max": max,
}


def aggregated(scores: Sequence[float | None], how: str) -> float | None:
    """The steps' scores as one; None where one of those that count is missing, or there are none. Raises UnknownName."""
    if how not in AGGREGATIONS:
        raise UnknownName("aggregation", how, AGGREGATIONS)
    counted = scores[-1:] if how == "last" else scores
    known = [score for score in counted if score is not None]
    return AGGREGATIONS[how](known) if known and len(known) == len(counted) else None
