"""Eureka's inference-scaling protocols (arXiv:2504.00294): a model between its worst, average, voted and perfectly verified
performance, and solved within so many attempts with a critic. What needs gold answers at inference time is marked oracle.

Exact over all subsets of n recorded samples, where the official code draws n once; ties of a vote are fractional, where it
takes one of the tied at random with a fixed seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import Floats, majority_at_k
from outthink.evaluation.intervals import Interval, accuracy
from outthink.evaluation.problem_samples import ProblemSamples
from outthink.evaluation.subsets import best_of, worst_of


@dataclass(frozen=True, slots=True)
class Brackets:
    """Credit with n samples, over problems; worst <= majority <= best, worst <= average <= best.

    worst:    all n are right: reliability
    average:  one sample
    majority: the vote
    best:     any of the n is right: a perfect verifier (oracle)
    """

    n: int
    worst: Interval
    average: Interval
    majority: Interval
    best: Interval


def brackets(problems: Sequence[ProblemSamples], n: int) -> Brackets:
    """The four aggregates of n of each problem's samples. Raises BadInput for n above a problem's samples."""
    if not problems:
        raise BadInput("there are no problems", where="brackets")
    found: list[tuple[float, float, float, float]] = []
    for each in problems:
        counts = np.bincount(each.classes[each.classes >= 0]).tolist()
        vote = majority_at_k(counts, each.class_right.tolist(), n, invalid=int((each.classes < 0).sum()))
        found.append((worst_of(each.right, n), float(each.right.mean()), vote, best_of(each.right, n)))
    return Brackets(n, *(accuracy(np.clip(column, 0, 1)) for column in zip(*found, strict=True)))


def solved_within(attempts: Sequence[int | None], most: int) -> Floats:
    """(most,) share of problems that were solved within 1 ... most attempts of the sequential protocol (oracle).

    attempts: by problem the attempt (from 1) that was right, None where none was
    """
    if not attempts or any(each is not None and each < 1 for each in attempts):
        raise BadInput("give each problem's first right attempt, from 1, or None", where="solved_within")
    return np.asarray([sum(each is not None and each <= k for each in attempts) for k in range(1, most + 1)]) / len(attempts)


def reasoning_gap(reasoning: Mapping[str, float], conventional: Mapping[str, float]) -> tuple[float, str, str]:
    """The best reasoning model's average accuracy less the lowest best-of-n of a conventional one, and both names."""
    best, lowest = max(reasoning, key=lambda name: reasoning[name]), min(conventional, key=lambda name: conventional[name])
    return reasoning[best] - conventional[lowest], best, lowest


def token_nondeterminism(tokens: Sequence[ArrayLike], right: Sequence[ArrayLike]) -> dict[str, float]:
    """Standard deviation of tokens over a problem's repeats: its mean over problems always right, always wrong, and mixed.

    tokens, right: by problem, one number per repeat; groups without a problem with two repeats are left out
    """
    groups: dict[str, list[float]] = {}
    for spent, hits in zip(tokens, right, strict=True):
        rate, counts = float(np.asarray(hits, dtype=np.float64).mean()), np.asarray(spent, dtype=np.float64)
        if len(counts) > 1:
            name = "always right" if rate == 1 else "always wrong" if rate == 0 else "mixed"
            groups.setdefault(name, []).append(float(counts.std(ddof=1)))
    return {name: float(np.mean(each)) for name, each in groups.items()}
