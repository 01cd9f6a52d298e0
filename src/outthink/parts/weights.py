"""How heavy votes are, from their scores. Counting the votes lives in `outthink.parts.voting`.

Every function takes one score per vote (higher is better; None doesn't vote) and returns one weight per vote in the same
order. By-rank rules give votes with equal scores the mean of the weights of the ranks they share, so that no order matters
and equal scores make a plain majority; the published codes rank equal scores in order of arrival.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from itertools import groupby
from typing import Any

from outthink.core.errors import BadInput, UnknownName
from outthink.parts.voting import Best, Scores

Weights = list[float | None]


def _voters(scores: Scores) -> list[int]:
    """Places of the votes that count, best first."""
    bad = [score for score in scores if score is not None and not math.isfinite(score)]
    if bad:
        raise BadInput(f"{bad[0]!r} is no score: it must be finite; None says that there is none", where="weights")
    found = [(score, at) for at, score in enumerate(scores) if score is not None]
    return [at for _, at in sorted(found, key=lambda pair: -pair[0])]


def _by_rank(scores: Scores, weight: Callable[[int, int], float]) -> Weights:
    """`weight(better, n)` for the vote that `better` of n are ahead of; votes with equal scores share."""
    order = _voters(scores)
    weights: Weights = [None] * len(scores)
    ahead = 0
    for _, block in groupby(order, key=lambda at: scores[at]):
        tied = list(block)
        shared = math.fsum(weight(rank, len(order)) for rank in range(ahead, ahead + len(tied))) / len(tied)
        for at in tied:
            weights[at] = shared
        ahead += len(tied)
    return weights


MOST_P = 64
"""Of `borda`: with it the first in rank has all of the vote."""


def borda(scores: Scores, p: float = 0.5) -> Weights:
    """Borda votes (arXiv:2502.18581): (n - rank + 1)**p for rank 1 (best) to n. p = 0 is majority; large p is best-of-n."""
    if not 0 <= p <= MOST_P:
        raise BadInput(f"p is {p!r} and must be between 0 and {MOST_P} (where it is best-of-n)", where="borda")
    return _by_rank(scores, lambda better, n: float(n - better) ** p)


def majority_of_the_bests(scores: Scores, m: int | None = None) -> Weights:
    """Chance that a vote is the best of m drawn with replacement (arXiv:2511.18630); m None is floor(sqrt(n)).

    m = 1 is majority, large m is best-of-n.
    """
    if m is not None and m < 1:
        raise BadInput(f"m is {m} and must be 1 or more", where="majority_of_the_bests")

    def weight(better: int, n: int) -> float:
        power = math.isqrt(n) if m is None else m
        return float(((n - better) / n) ** power - ((n - better - 1) / n) ** power)

    return _by_rank(scores, weight)


def filtered(scores: Scores, keep: float = 0.5) -> Weights:
    """1 for the best `keep` (in (0, 1]) of the votes, rounded up, and 0 for the others; ties at the border share."""
    if not 0 < keep <= 1:
        raise BadInput(f"keep is {keep!r} and must be in (0, 1]", where="filtered")
    return _by_rank(scores, lambda better, n: 1.0 if better < math.ceil(keep * n) else 0.0)


def softmax(scores: Scores, temperature: float = 1.0) -> Weights:
    """exp(score / temperature), normalised to sum 1 (CISC, arXiv:2502.06233)."""
    if not (math.isfinite(temperature) and temperature > 0):
        raise BadInput(f"temperature is {temperature!r} and must be above 0", where="softmax")
    order = _voters(scores)
    if not order:
        return [None] * len(scores)
    top = scores[order[0]]
    assert top is not None
    raised = [None if score is None else math.exp((score - top) / temperature) for score in scores]
    total = math.fsum(value for value in raised if value is not None)
    return [None if value is None else value / total for value in raised]


def minmax(scores: Scores) -> Weights:
    """Scores scaled to [0, 1] by their least and greatest; equal ones all weigh 1."""
    order = _voters(scores)
    if not order:
        return [None] * len(scores)
    high, low = scores[order[0]], scores[order[-1]]
    assert high is not None
    assert low is not None
    # Halved, so that the distance of two huge scores is finite.
    span = high / 2 - low / 2
    return [None if score is None else (score / 2 - low / 2) / span if span else 1.0 for score in scores]


def averaged(scores: Scores, classes: Sequence[Hashable]) -> Weights:
    """Scores divided by the votes of their class, so that a class weighs the mean of its scores."""
    voters = _voters(scores)
    counts: dict[Hashable, int] = {}
    for at in voters:
        counts[classes[at]] = counts.get(classes[at], 0) + 1
    return [None if score is None else score / counts[answer] for score, answer in zip(scores, classes, strict=True)]


def ruled(rule: str, keep: float) -> dict[str, Any]:
    """How `growing` counts by scores under a rule: "vote": the best part `keep` votes; "best": the best one alone decides.

    Raises UnknownName, BadInput.
    """
    filtered([], keep)  # refused now, and not once there are scores
    if rule == "best":
        return {"tally": Best}
    if rule == "vote":
        return {"weigh": lambda scores: filtered(scores, keep)}
    raise UnknownName("rule", rule, ("best", "vote"))
