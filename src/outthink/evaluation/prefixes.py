"""What selectors choose from the first n samples of many random orders at once. Drawing orders is not done here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import Floats
from outthink.evaluation.problem_samples import ProblemSamples

Orders = NDArray[np.intp]

ORACLE = "pass@n (oracle)"
TIE = 1e-12
"""Relative difference up to which sums of weights count as equal: rounding, in whatever order they were added, is less."""
_WEIGHTLESS = 1e-250
"""What a vote of weight 0 weighs, next to a largest weight of 1: it changes no sum, and says that there was a vote."""
_CELLS = 1 << 16
"""Tallies counted in one step, so that they stay in the processor's cache."""


def credit_of_prefixes(samples: ProblemSamples, orders: Orders, ns: Sequence[int], names: Sequence[str]) -> Floats:
    """Credit of each selector after the first n samples of each order.

    orders: (T, M): column m holds the first samples of order m, at least as many as every n that leaves any out
    ns:     ascending
    names:  of "majority", "weighted_majority", "best_of_n" and `ORACLE`

    Ties share: the classes that are tied, or the best-scored samples that were drawn. Returns (len(names), len(ns), M).
    """
    partial = [n for n in ns if n < samples.n]
    out = np.empty((len(names), len(ns), orders.shape[1]))
    if partial:
        drawn = _Drawn(samples, orders, partial)
        for at, name in enumerate(names):
            out[at, : len(partial)] = drawn.credit(name)
    if len(partial) < len(ns):  # all samples: one order is as good as any
        whole = _Drawn(samples, np.arange(samples.n)[:, None], [samples.n])
        for at, name in enumerate(names):
            out[at, -1] = whole.credit(name)
    return out


class _Drawn:
    """One problem's samples in M orders, looked at after each n. All steps are long ones, so that threads run side by side."""

    def __init__(self, samples: ProblemSamples, orders: Orders, ns: Sequence[int]) -> None:
        self._samples, self._orders, self._spans = samples, orders, list(itertools.pairwise([0, *ns]))
        self._class_right = samples.class_right

    def credit(self, name: str) -> Floats:
        """(J, M) credit after each n. Raises BadInput where the samples have nothing that the selector goes by."""
        if name == ORACLE:
            return self._any()
        if name == "majority":
            return self._plurality()
        if name == "weighted_majority" and self._samples.weights is not None:
            return self._heaviest(self._samples.weights)
        if name == "best_of_n" and self._samples.scores is not None:
            return self._best(self._samples.scores)
        raise BadInput(f"there is nothing for {name!r} to go by", where="selector")

    def _any(self) -> Floats:
        return self._running_maximum(self._gathered(self._samples.right)).astype(np.float64)

    def _plurality(self) -> Floats:
        narrow = np.uint8 if len(self._orders) < 1 << 8 else np.uint32  # bytes are compared many at a time
        tallies = (votes.astype(narrow) for votes in self._tallies())
        return np.concatenate([self._shared(votes == votes.max(axis=1, initial=1)[:, None]) for votes in tallies])

    def _heaviest(self, weights: Floats) -> Floats:
        voting = (self._samples.classes >= 0) & ~np.isnan(weights)
        scale = float(weights.max(where=voting, initial=0.0)) or 1.0
        found = []
        for heavy in self._tallies(np.where(voting, np.maximum(weights / scale, _WEIGHTLESS), 0.0)):
            most = heavy.max(axis=1, initial=0)
            # Where nobody's vote weighs anything, all who were voted for are tied.
            least = np.where(most < _WEIGHTLESS * 1e10, _WEIGHTLESS, most * (1 - TIE))
            found.append(self._shared(heavy >= least[:, None]))
        return np.concatenate(found)

    def _best(self, scores: Floats) -> Floats:
        chosen = (self._samples.classes >= 0) & ~np.isnan(scores)
        _, ranks = np.unique(scores[chosen], return_inverse=True)
        levels = np.zeros(len(scores), dtype=np.uint16 if len(scores) < 1 << 16 else np.uint32)
        levels[chosen] = ranks + 1  # 0: can't be chosen
        value = np.bincount(levels, self._samples.right) / np.maximum(np.bincount(levels), 1)
        value[0] = 0.0
        drawn = self._gathered(levels)
        best = self._running_maximum(drawn)
        if not bool(np.any((value > 0) & (value < 1))):
            return np.asarray(value[best], dtype=np.float64)
        right, out = self._gathered(self._samples.right), np.zeros(best.shape)
        for at, (_, last) in enumerate(self._spans):
            tied = drawn[:last] == best[at]
            narrow = np.uint8 if last < 1 << 8 else np.uint32  # bytes are summed many at a time
            hits, found = ((each.view(np.uint8)).sum(axis=0, dtype=narrow) for each in (tied & right[:last], tied))
            out[at] = np.where(best[at] > 0, hits / found, 0.0)
        return out

    def _running_maximum(self, drawn: NDArray[Any]) -> NDArray[Any]:
        """(J, M): of the first n of (T, M), for each n."""
        return np.maximum.accumulate([drawn[first:last].max(axis=0) for first, last in self._spans], axis=0)

    def _gathered(self, table: NDArray[Any]) -> NDArray[Any]:
        """(T, M) what a table (N,) says of each drawn sample."""
        return table.take(self._orders, mode="clip")  # every order is of our making: there is nothing to check

    def _tallies(self, weights: Floats | None = None) -> Iterator[NDArray[Any]]:
        """(G, C, M) votes, or their weights, by class after each of the next G of the n."""
        classes, many = len(self._class_right), self._orders.shape[1]
        drawn = None if weights is None else self._gathered(weights)
        before: NDArray[Any] | None = None
        for first, last, cells, steps in self._cells:
            heavy = None if drawn is None else drawn[first:last].ravel()
            found = np.bincount(cells.ravel(), heavy, steps * (classes + 1) * many)
            tally = found.reshape(steps, classes + 1, many)[:, :classes]
            for votes in tally:  # one by one: numpy's own accumulation is three times slower across rows
                if before is not None:
                    votes += before
                before = votes
            yield tally

    @cached_property
    def _cells(self) -> list[tuple[int, int, Orders, int]]:
        """Of some of the n at once: first and last sample, where each vote counts in a flat (G, C + 1, M), and G.

        Who doesn't vote is in a class after the last.
        """
        classes, many = len(self._class_right), self._orders.shape[1]
        rows = np.where(self._samples.classes < 0, classes, self._samples.classes) * many
        together, found, column = max(1, _CELLS // ((classes + 1) * many)), [], np.arange(many)
        for at in range(0, len(self._spans), together):
            spans = self._spans[at : at + together]
            start, end = spans[0][0], spans[-1][1]
            cells = rows.take(self._orders[start:end], mode="clip")
            for step, (first, last) in enumerate(spans):
                cells[first - start : last - start] += column + step * (classes + 1) * many
            found.append((start, end, cells, len(spans)))
        return found

    def _shared(self, tied: NDArray[np.bool_]) -> Floats:
        """(G, M): how far the tied classes (G, C, M) are right on average; 0 where there is none."""
        narrow = np.uint8 if tied.shape[1] < 1 << 8 else np.uint32  # bytes are summed many at a time
        classes = tied.view(np.uint8).sum(axis=1, dtype=narrow)
        hits = np.zeros(classes.shape)
        for at in np.nonzero(self._class_right)[0]:  # most often one
            hits += self._class_right[at] * tied[:, at]
        hits /= np.maximum(classes, 1)
        return hits
