"""Best, worst and mean of k of n recorded values, and what k submissions of a selector reach, exactly, without drawing any.

Votes, and the best by a score, are `outthink.evaluation.estimators`'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import best_at_k


def best_of(values: ArrayLike, k: int) -> float:
    """Expected largest of k of the values: with correctness as values what a perfect verifier gives, pass@k."""
    return best_at_k(values, values, k)


def worst_of(values: ArrayLike, k: int) -> float:
    """Expected smallest of k of the values: with correctness as values the chance that all k are right."""
    return -best_of(-np.asarray(values, dtype=np.float64), k)


def submitted_by_score(scores: Sequence[float], right: Sequence[bool], n: int, k: int) -> float:
    """Chance that the k best-scored of n of the samples hold a right one: pass@k of a selector with k submissions.

    scores: NaN for a sample that can't be submitted. Ties are broken at random.

    Counts, from the best score down, the ways to have drawn wrong ones only. Raises BadInput unless 1 <= k <= n <= samples.
    """
    total = len(scores)
    if len(right) != total or not 1 <= k <= n <= total:
        raise BadInput(f"k is {k}, n {n} and must be 1 <= k <= n <= {total}, with a score for each sample", where="submissions")
    ranked = sorted(((-math.inf if math.isnan(s) else s, bool(r)) for s, r in zip(scores, right, strict=True)), reverse=True)
    missed, below = 0.0, total
    ways = {0: 1}  # by how many were drawn so far, all of them wrong and fewer than k
    for score, block in groupby(ranked, key=lambda each: each[0]):
        hits = [hit for _, hit in block]
        size, wrong = len(hits), len(hits) if score == -math.inf else hits.count(False)
        below -= size
        grown: dict[int, int] = {}
        for drawn, count in ways.items():
            for more in range(min(size, n - drawn) + 1):
                if drawn + more < k:
                    grown[drawn + more] = grown.get(drawn + more, 0) + count * math.comb(wrong, more)
                else:  # which of the tied are submitted is drawn among all that are tied
                    left = k - drawn
                    share = math.comb(wrong, left) / math.comb(size, left)
                    missed += count * math.comb(size, more) * math.comb(below, n - drawn - more) / math.comb(total, n) * share
        ways = grown
    return min(max(1.0 - missed, 0.0), 1.0)


def submitted_by_votes(counts: Sequence[int], right: Sequence[bool], k: int) -> float:
    """Chance that the k classes with the most votes hold a right one; which of those tied for the last places, is chance."""
    if k < 1 or len(counts) != len(right):
        raise BadInput(f"k is {k} and must be 1 or more, with a verdict for each class", where="submissions")
    left = k
    ranked = sorted(((c, bool(r)) for c, r in zip(counts, right, strict=True) if c), reverse=True)
    for _, block in groupby(ranked, key=lambda each: each[0]):
        hits = [hit for _, hit in block]
        if len(hits) >= left:
            return 1.0 - math.comb(hits.count(False), left) / math.comb(len(hits), left)
        if any(hits):
            return 1.0
        left -= len(hits)
    return 0.0
