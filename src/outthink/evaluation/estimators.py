"""What k of n recorded samples are expected to give, exactly, without drawing any.

Everything is per problem and over all subsets of k samples; means over problems and intervals are
`outthink.evaluation.intervals`'s. Ties count fractionally: what would be right in expectation if one of the tied were drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from outthink.core.errors import BadInput

Floats = NDArray[np.float64]

MOST_EXACT = 1000
"""Samples of a problem up to which subsets can be counted in double precision."""


def pass_at_k(n: ArrayLike, right: ArrayLike, k: int) -> Floats:
    """Chance that k of n samples hold a right one: 1 - C(n-c, k) / C(n, k), the unbiased estimator of arXiv:2107.03374.

    n, right: (P,) samples and right samples per problem
    Returns (P,). Raises BadInput unless 1 <= k <= n and 0 <= right <= n.
    """
    samples, hits = np.broadcast_arrays(np.asarray(n, dtype=np.int64), np.asarray(right, dtype=np.int64))
    if k < 1 or np.any(samples < k):
        raise BadInput(f"k is {k} and must be between 1 and the fewest samples of a problem", where="pass_at_k")
    if np.any((hits < 0) | (hits > samples)):
        raise BadInput("a problem has more right samples than samples, or fewer than none", where="pass_at_k")
    missed = samples - hits
    # C(n-c, k) / C(n, k) as a product of k factors, each in [0, 1]; a factor of 0 where no k wrong ones exist
    drawn = np.arange(k)
    factors = np.clip(missed[..., None] - drawn, 0, None) / (samples[..., None] - drawn)
    return np.asarray(1.0 - factors.prod(axis=-1), dtype=np.float64)


def majority_at_k(counts: Sequence[int], right: Sequence[bool | float], k: int, *, invalid: int = 0) -> float:
    """Expected credit of a plurality vote among k of the samples of one problem; no valid answer at all gives 0.

    counts:  samples of each answer class;  right: whether (or how far) each class is right
    invalid: samples without an answer, which are drawn and don't vote

    Sums over the winner's class, its votes and the number of classes tied with it, so it is exact.
    Raises BadInput for k outside 1..n, or more than `MOST_EXACT` samples.
    """
    n = sum(counts) + invalid
    if not 1 <= k <= n or n > MOST_EXACT:
        raise BadInput(f"k is {k} and must be between 1 and n = {n}, which must be {MOST_EXACT} or less", where="majority_at_k")
    expected = 0.0
    for votes in range(1, min(k, max(counts, default=0)) + 1):
        for winner, share in enumerate(right):
            if share and counts[winner] >= votes:
                others = [count for at, count in enumerate(counts) if at != winner]
                ways = _ways(others, invalid, k - votes, votes)
                expected += float(share) * math.comb(counts[winner], votes) * float(ways @ (1.0 / np.arange(1, len(ways) + 1)))
    return min(expected / math.comb(n, k), 1.0)  # rounding


def _ways(others: Sequence[int], invalid: int, drawn: int, most: int) -> Floats:
    """Ways to draw so many of the others with at most `most` of each class, by the number of classes that have exactly `most`.

    Returns (drawn // most + 1,).
    """
    table = np.zeros((drawn // most + 1, drawn + 1))
    table[0] = [math.comb(invalid, i) for i in range(drawn + 1)]
    for count in others:
        grown = table.copy()  # none of this class
        for taken in range(1, min(count, most - 1, drawn) + 1):
            grown[:, taken:] += math.comb(count, taken) * table[:, : drawn + 1 - taken]
        if count >= most and drawn >= most:
            grown[1:, most:] += math.comb(count, most) * table[:-1, : drawn + 1 - most]
        table = grown
    return np.asarray(table[:, drawn], dtype=np.float64)


def best_at_k(scores: ArrayLike, values: ArrayLike, k: int) -> float:
    """Expected value of the best-scored of k samples of one problem.

    scores: (n,), NaN for a sample that can't be chosen;  values: (n,), such as whether each is right

    Equal scores share their mean value. Raises BadInput for k outside 1..n.
    """
    return float(best_curve(scores, values, [k])[0])


def best_curve(scores: ArrayLike, values: ArrayLike, ks: Sequence[int]) -> Floats:
    """(J,) the same at each of ks: the sum over ranks, from the worst, of v C(i-1, k-1) / C(n, k)."""
    score, value = np.asarray(scores, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if score.shape != value.shape or score.ndim != 1 or not all(1 <= k <= len(score) for k in ks):
        raise BadInput(f"k must be 1 to {score.size}, with a score and a value for each sample", where="best_at_k")
    chosen = ~np.isnan(score)
    levels = np.zeros(len(score), dtype=np.intp)  # 0: can't be chosen
    levels[chosen] = np.unique(score[chosen], return_inverse=True)[1] + 1
    counts = np.bincount(levels)
    shared = np.bincount(levels, value) / np.maximum(counts, 1)
    shared[0] = 0.0
    by_rank = np.repeat(shared, counts)
    return np.asarray([min(float(_rank_weights(len(score), k) @ by_rank), float(by_rank.max())) for k in ks])  # rounding


@lru_cache(maxsize=64)
def _rank_weights(n: int, k: int) -> Floats:
    """(n,) chance that the i-th worst of n is the best of k of them."""
    weights, chance = np.zeros(n), k / n
    for i in range(n - 1, k - 2, -1):  # from the best down
        weights[i] = chance
        chance *= (i - k + 1) / max(i, 1)
    weights.setflags(write=False)
    return weights
