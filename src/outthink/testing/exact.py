"""Exact probabilities, by counting and not by sampling: what rules choose among independent samples, and laws over trees."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from outthink.testing.trees import Node


def chosen(answers: Mapping[str, float], n: int, rank: Callable[[str, int], Any]) -> dict[str | None, float]:
    """Probability of each choice (None: nothing valid) among n samples.

    answers: probability of each answer; what is missing to 1 is invalid
    rank:    what a rule compares, from an answer and how often it was drawn; of equal ranks the first drawn wins, so that an
             answer wins a tie as often as it is drawn among the tied
    """
    names: list[str | None] = [*answers, None]
    odds = [*answers.values(), max(0.0, 1 - math.fsum(answers.values()))]
    found = dict.fromkeys(names, 0.0)
    for counts in _counts(n, len(names)):
        ways = math.factorial(n) / math.prod(map(math.factorial, counts))
        probability = ways * math.prod(p**count for p, count in zip(odds, counts, strict=True))
        drawn = [(name, count) for name, count in zip(names, counts, strict=True) if count and name is not None]
        if not drawn:
            found[None] += probability
            continue
        top = max(rank(name, count) for name, count in drawn)
        tied = [(name, count) for name, count in drawn if rank(name, count) == top]
        for name, count in tied:
            found[name] += probability * count / sum(count for _, count in tied)
    return found


def _counts(n: int, kinds: int) -> Iterator[tuple[int, ...]]:
    if kinds == 1:
        yield (n,)
        return
    for first in range(n + 1):
        for rest in _counts(n - first, kinds - 1):
            yield (first, *rest)


def majority(answers: Mapping[str, float], n: int) -> dict[str | None, float]:
    """Choices of a plain majority."""
    return chosen(answers, n, lambda _, count: count)


def weighted_majority(answers: Mapping[str, float], scores: Mapping[str, float], n: int) -> dict[str | None, float]:
    """Choices of a weighted majority where a sample's score depends on its answer alone (every answer has one)."""
    return chosen(answers, n, lambda answer, count: scores[answer] * count)


def best_of_n(answers: Mapping[str, float], scores: Mapping[str, float], n: int) -> dict[str | None, float]:
    """Choices of best-of-n where a sample's score depends on its answer alone (every answer has one)."""
    return chosen(answers, n, lambda answer, count: (scores[answer], scores[answer] * count))


def refined(
    right: float, iterations: int, *, sensitivity: float = 1.0, specificity: float = 1.0, keeps: float = 1.0, mends: float = 0.5
) -> float:
    """Probability that self-refine ends with the right answer: drafts are a two-state chain that feedback may stop.

    right: probability of the first draft being right; the others as in `worlds.World`
    """
    on, ended = (right, 1 - right), 0.0
    for _ in range(iterations):
        ended += on[0] * sensitivity
        good, bad = on[0] * (1 - sensitivity), on[1] * specificity
        on = good * keeps + bad * mends, good * (1 - keeps) + bad * (1 - mends)
    return ended + on[0]


def tilted(root: Node, weight: Callable[[Sequence[Node]], float]) -> tuple[float, dict[str, float]]:
    """The normalising constant of p * weight over a tree's whole answers, and the probability of each under it.

    weight: of a whole answer, from its nodes; ends without an answer weigh nothing. Answers at several places add up
    """
    heavy: dict[str, float] = {}
    for path, chance, nodes in root.leaves():
        heavy[path[-1]] = heavy.get(path[-1], 0.0) + chance * weight(nodes)
    total = math.fsum(heavy.values())
    return total, {answer: mass / total for answer, mass in heavy.items()}
