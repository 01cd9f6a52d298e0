"""Answers that may be handed in: which come often enough, which of those are best, and the k that go out together.

Counting votes lives in `outthink.parts.voting`, how scores become weights in `outthink.parts.weights`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from outthink.core.sample import Sample
from outthink.core.selection import Selection
from outthink.core.task import Answer
from outthink.parts.voting import Best, Scores, growing
from outthink.parts.weights import Weights

Pool = Callable[[Scores, Sequence[Answer]], Weights]


def frequent(votes: Mapping[str, float], share: float, least: int = 1) -> list[str]:
    """The answer classes with at least `share` of the votes and at least `least` of them, in the order given."""
    total = math.fsum(votes.values())
    # A share such as 0.3 of 10 votes asks for 3 of them, whatever the product's last digit is.
    return [name for name, count in votes.items() if count >= least and count >= share * total * (1 - 1e-12)]


def _alone(scores: Scores, answers: Sequence[Answer]) -> Weights:
    return list(scores)


def _mean(scores: Scores, answers: Sequence[Answer]) -> Weights:
    """Each sample with the mean score of its class."""
    found: dict[str | None, list[float]] = {}
    for score, answer in zip(scores, answers, strict=False):
        if score is not None:
            found.setdefault(answer.answer_class, []).append(score)
    means = {name: math.fsum(each) / len(each) for name, each in found.items()}
    return [None if score is None else means[answer.answer_class] for score, answer in zip(scores, answers, strict=False)]


POOLED: Mapping[str, Pool] = {"best": _alone, "mean": _mean}
"""The score of an answer from those of its samples: the best one, or their mean."""


def best(samples: Sequence[Sample], answers: Sequence[Answer], scores: Scores, pool: Pool) -> Selection:
    """The answer with the highest pooled score; its votes are all classes with theirs, highest first."""
    *_, chosen = growing(samples, answers, pool(scores, answers), tally=Best)
    return chosen


def handed_in(chosen: Selection, majority: Selection, k: int) -> Selection:
    """The choice with the k answers that are handed in: the highest-scored, then, where these are fewer, the most frequent.

    chosen, majority: with their tables of votes
    """
    ranked = list(dict.fromkeys([*chosen.votes, *majority.votes]))
    return replace(chosen, submissions=tuple(ranked[:k]))
