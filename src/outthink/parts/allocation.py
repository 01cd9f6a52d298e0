"""Sharing a width among traces by their scores. Which traces a tree keeps at all is `outthink.parts.tree_selection`'s."""

from __future__ import annotations

import math
from collections.abc import Sequence

from outthink.core.errors import BadInput

_ROUNDING = 1e-9
"""Sums of floats leave so much over a whole number."""


def rebase(scores: Sequence[float | None], width: int, temperature: float) -> list[int]:
    """How many continuations each trace gets (REBASE, arXiv:2408.00724, eq. 1 and its code): shares of a softmax, rounded up
    from the best trace down until the width is used. They sum to `width`; what has no score gets none, unless none has one.

    Raises BadInput.
    """
    if not temperature > 0 or width < 1 or not scores:
        raise BadInput("the temperature must be above 0, width 1 or more, and there must be a trace", where="rebase")
    known = [score for score in scores if score is not None]
    top = max(known, default=0.0)
    shares = [1.0 if not known else 0.0 if score is None else math.exp((score - top) / temperature) for score in scores]
    counts, left, rest = [0] * len(scores), width, math.fsum(shares)
    ranks = [-math.inf if score is None else score for score in scores]
    for at in sorted(range(len(scores)), key=lambda at: -ranks[at]):
        if not left or not shares[at]:
            break
        counts[at] = min(left, math.ceil(left * shares[at] / rest - _ROUNDING)) if rest > shares[at] else left
        left, rest = left - counts[at], rest - shares[at]
    return counts
