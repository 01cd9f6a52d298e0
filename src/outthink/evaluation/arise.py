"""ARISE (arXiv:2510.06014): how well extra tokens turn into right answers, problem by problem, over ordered levels of effort.

A gain counts for less the more it cost, a loss for more the more was wasted on it. Scores of two models compare only on the
same levels: a level in between changes the score. Tokens wasted on problems whose correctness never changes are not seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import Floats

LEAST, MOST, THRESHOLD = 3, 10, 0.5
"""Runs of a cell and the variation at which it is settled, in the official code."""


def arise(accuracy: ArrayLike, tokens: ArrayLike) -> Floats:
    """(P,) the score of every problem: the sum over levels of da (T_before / T_now) ** sign(da).

    accuracy, tokens: (P, levels) mean credit, and mean tokens of an answer; levels in order of effort

    A step with a token count of 0 adds nothing; fewer than two levels give 0. A gain counts at most 1 where tokens grow, and
    may count more where they shrink; losses are not bounded.
    """
    credit, spent = np.asarray(accuracy, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
    if credit.ndim != 2 or credit.shape != spent.shape:
        raise BadInput(f"accuracy {credit.shape} and tokens {spent.shape} must both be problems by levels", where="ARISE")
    if not bool(np.all((credit >= 0) & (credit <= 1)) and np.all(np.isfinite(spent) & (spent >= 0))):
        raise BadInput("accuracy must lie between 0 and 1, and tokens be finite and 0 or more", where="ARISE")
    step, before, now = np.diff(credit, axis=1), spent[:, :-1], spent[:, 1:]
    able = (before > 0) & (now > 0)
    cheaper = np.divide(before, now, out=np.ones_like(step), where=able)
    return np.asarray(np.where(able, step * cheaper ** np.sign(step), 0.0).sum(axis=1), dtype=np.float64)


def noise_bias(accuracy: ArrayLike, tokens: ArrayLike, *, draws: int = 1000, seed: int = 0) -> float:
    """The mean score that the same accuracies would give if effort changed nothing: levels' accuracies shuffled within problems.

    Negative where tokens grow: a rise and the fall after it don't cancel. Report it beside the score of noisy accuracies.
    """
    credit = np.asarray(accuracy, dtype=np.float64)
    rng = np.random.default_rng(seed)
    return float(np.mean([arise(rng.permuted(credit, axis=1), tokens).mean() for _ in range(draws)]))


def variation(values: Sequence[float]) -> float:
    """Standard deviation (of the population) over the mean."""
    found = np.asarray(values, dtype=np.float64)
    return float(found.std() / (found.mean() + 1e-8))


def settled(accuracy: Sequence[float], tokens: Sequence[float], *, threshold: float = THRESHOLD) -> bool:
    """Whether the runs of one problem at one level vary little enough to stop."""
    return variation(accuracy) + variation(tokens) <= threshold


def wants_more(
    accuracy: Sequence[float], tokens: Sequence[float], *, least: int = LEAST, most: int = MOST, threshold: float = THRESHOLD
) -> bool:
    """Whether one more run of this problem at this level should be drawn: the adaptive sampling of the paper."""
    runs = len(accuracy)
    return runs < least or (runs < most and not settled(accuracy, tokens, threshold=threshold))


def shared_runs(variations: Sequence[float], budget: int, *, least: int = LEAST, most: int = MOST) -> list[int]:
    """How many runs each cell gets of a budget of runs, in proportion to its variation."""
    spare = budget - len(variations) * least
    total = sum(variations)
    if spare <= 0 or total <= 0:
        return [least] * len(variations)
    return [min(least + int(spare * each / total), most) for each in variations]
