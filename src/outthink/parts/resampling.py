"""Which of several weighted things go on: resampling schemes, effective sample size, and sums of log-weights.

Every scheme draws `count` parents, each place of `weights` count * w times on average (w: its share of the weight), and they
differ in the variance of these numbers only: `multinomial` has the most; with `systematic` and `ssp` a place has its expected
number rounded up or down, so that equal weights keep everything. Sources: Douc and Cappe, arXiv:cs/0507025 (multinomial,
stratified, systematic); Gerber, Chopin and Whiteley, arXiv:1707.01845 (ssp).

`kept` names a place that has a parent for certain: the numbers are then drawn with probability proportional to that place's
own, which is what conditional resampling in a particle Gibbs sampler asks for (one child, wherever it is, is given).
What is weighed, and when, is `outthink.parts.particles`'.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

from outthink.core.errors import BadInput, UnknownName


class Chance(Protocol):
    """Where randomness comes from: `Run.rng()`."""

    def random(self) -> float:
        """A number in [0, 1)."""


def log_sum(logs: Sequence[float]) -> float:
    """The log of a sum, from the logs of its terms; -inf for none. Raises BadInput for what is no log-weight."""
    top = max(logs, default=-math.inf)
    if any(math.isnan(log) or log == math.inf for log in logs):
        raise BadInput("a log-weight must be finite, or -inf for a weight of 0", where="weights")
    return top if top == -math.inf else top + math.log(math.fsum(math.exp(log - top) for log in logs))


def relative(logs: Sequence[float]) -> list[float]:
    """Weights from their logs, the greatest 1. Raises BadInput for what is no log-weight, and where no weight is above 0."""
    if log_sum(logs) == -math.inf:
        raise BadInput("no weight is above 0", where="weights")
    top = max(logs)
    return [math.exp(log - top) for log in logs]


def effective(weights: Sequence[float]) -> float:
    """Kish's effective sample size, (sum w)^2 / sum w^2: between 1 and the number of weights above 0."""
    return math.fsum(weights) ** 2 / math.fsum(weight * weight for weight in weights)


def _ends(weights: Sequence[float], count: int) -> list[float]:
    """Where each place's part of [0, count) ends, the parts laid side by side."""
    top = max(weights)  # so that equal weights are exactly 1, and their sums exact
    sums = list(accumulate(weight / top for weight in weights))
    return [count * end / sums[-1] for end in sums]


def _owners(ends: Sequence[float], points: Sequence[float]) -> list[int]:
    """The places in whose parts the points lie."""
    last = ends.index(ends[-1])  # places after it have no weight
    return [bisect_right(ends, point, hi=last) for point in points]


def _point(stratum: int, offset: float) -> float:
    return min(stratum + offset, math.nextafter(stratum + 1, 0))  # never in the next one by rounding


def _inside(ends: Sequence[float], place: int, chance: Chance) -> float:
    """A point drawn evenly from a place's part."""
    start, end = (ends[place - 1] if place else 0.0), ends[place]
    return min(start + chance.random() * (end - start), math.nextafter(end, start))


def multinomial(weights: Sequence[float], count: int, chance: Chance, kept: int | None = None) -> list[int]:
    """Independent draws, in the order drawn."""
    ends = _ends(weights, count)
    drawn = _owners(ends, [chance.random() * count for _ in range(count - (kept is not None))])
    return drawn if kept is None else [kept, *drawn]


def stratified(weights: Sequence[float], count: int, chance: Chance, kept: int | None = None) -> list[int]:
    """One point drawn from each of `count` equal strata."""
    ends = _ends(weights, count)
    points = [_point(at, chance.random()) for at in range(count)]
    if kept is not None:
        point = _inside(ends, kept, chance)
        points[int(point)] = point
    return _owners(ends, points)


def systematic(weights: Sequence[float], count: int, chance: Chance, kept: int | None = None) -> list[int]:
    """One point in each of `count` equal strata, at the same place in all of them."""
    ends = _ends(weights, count)
    offset = chance.random() if kept is None else _inside(ends, kept, chance) % 1.0
    return _owners(ends, [_point(at, offset) for at in range(count)])


def ssp(weights: Sequence[float], count: int, chance: Chance, kept: int | None = None) -> list[int]:
    """Srinivasan sampling: parts below one copy play against each other, two at a time, until each has a copy or nothing."""
    ends = _ends(weights, count)
    shares = [end - start for start, end in zip([0.0, *ends], ends, strict=False)]
    copies = [int(share) for share in shares]
    # A place that must win: it wins each game with probability proportional to what it would hold after it (Doob).
    chosen = kept if kept is not None and chance.random() * shares[kept] >= copies[kept] else None
    holder, held = -1, 0.0
    for place, share in enumerate(shares):
        part = share - copies[place]
        if holder < 0 or not part:
            holder, held = (place, part) if part else (holder, held)
            continue
        both = held + part
        if both < 1:  # one of the two holds both parts, the other nothing
            wins = float(chosen == holder) if chosen in (holder, place) else held / both
            holder, held = (holder if chance.random() < wins else place), both
        else:  # one has its copy, the other holds what is left
            wins = (1 - part) / (2 - both)
            if chosen == holder:
                wins /= held
            elif chosen == place:
                wins *= (both - 1) / part
            winner = holder if chance.random() < wins else place
            copies[winner] += 1
            chosen = None if winner == chosen else chosen
            holder, held = (place if winner == holder else holder), both - 1
    if sum(copies) < count:  # what is held at the end is 1 or 0, but for rounding
        copies[holder] += 1
    return [place for place, number in enumerate(copies) for _ in range(number)]


Scheme = Callable[[Sequence[float], int, Chance, int | None], list[int]]

RESAMPLERS: Mapping[str, Scheme] = {
    "systematic": systematic,
    "stratified": stratified,
    "multinomial": multinomial,
    "ssp": ssp,
}


def resampled(scheme: str, weights: Sequence[float], count: int, chance: Chance, kept: int | None = None) -> list[int]:
    """`count` parents among the places of `weights` (not negative, of any sum), by one of `RESAMPLERS`.

    Raises UnknownName; BadInput where no weight is above 0 or the kept place has none.
    """
    if scheme not in RESAMPLERS:
        raise UnknownName("resampling scheme", scheme, RESAMPLERS)
    if not all(0 <= weight < math.inf for weight in weights) or not any(weights) or (kept is not None and not weights[kept]):
        raise BadInput("weights must be finite and not negative, and the kept one and their sum above 0", where="resampling")
    return RESAMPLERS[scheme](weights, count, chance, kept)


def drawn(weights: Sequence[float], chance: Chance) -> int:
    """One place, drawn by weight; as for `resampled`."""
    return resampled("multinomial", weights, 1, chance)[0]
