"""How well one text stands for another: the utilities of minimum Bayes risk, and the choice by them.

A judge's preferences are `outthink.parts.choosing`'s.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

ORDER, BETA = 6, 2.0
"""Longest character n-grams, and how much more recall counts than precision (chrF2, Popović 2015)."""


def expected(utility: Callable[[int, int], float], candidates: int, evidence: int) -> list[float]:
    """Mean utility of each candidate over the evidence: what minimum Bayes risk decoding maximises."""
    return [math.fsum(utility(y, e) for e in range(evidence)) / evidence for y in range(candidates)]


def chrf(text: str, reference: str) -> float:
    """chrF2 of a text against a reference, in [0, 1]: F-score of character n-grams of up to 6, whitespace left out."""
    scores = [_f(_grams(text, order), _grams(reference, order)) for order in range(1, ORDER + 1)]
    found = [score for score in scores if score is not None]
    return math.fsum(found) / len(found) if found else float(text.split() == reference.split())


def matches(classes: Sequence[str | None], other: Sequence[str | None]) -> Callable[[int, int], float]:
    """1 where both answers are of one class: minimum Bayes risk is then the majority vote."""
    return lambda y, e: float(classes[y] is not None and classes[y] == other[e])


def _grams(text: str, order: int) -> Counter[str]:
    plain = "".join(text.split())
    return Counter(plain[at : at + order] for at in range(len(plain) - order + 1))


def _f(found: Counter[str], wanted: Counter[str]) -> float | None:
    """None for an order that neither text is long enough for."""
    if not found and not wanted:
        return None
    common = (found & wanted).total()
    if not common:
        return 0.0
    precision, recall = common / found.total(), common / wanted.total()
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
