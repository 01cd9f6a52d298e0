"""Two-level resamples of recorded samples: problems first, then an ordered subset of each one's samples, shared by all n.

They say what one run of n samples on as many problems may show: other problems, other samples. How good a selector is on average
over runs is known better: that is the mean of each problem's expectation, whose doubt is in the problems alone, since every
problem brings samples of its own.

Every draw has an order of its own, yet few are drawn: one bank of random orders serves all problems, each after a random
renaming of its samples. An order after an independent uniform renaming is uniform, and any two such are independent, so
means, variances and covariances are exactly those of orders drawn afresh. Votes grow from one n to the next.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import Floats, best_curve, pass_at_k
from outthink.evaluation.intervals import Interval, accuracy, difference, wilson
from outthink.evaluation.prefixes import ORACLE, Orders, credit_of_prefixes
from outthink.evaluation.problem_samples import ProblemSamples

_TOGETHER = 16  # problems added up by one thread: fixed, so that sums don't depend on how many threads there are
_BLOCK = 1000  # resamples that share a bank; its orders, about as many, stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Resampled:
    """Resampled means of each selector at each n; in one resample all of them see the same problems and orders.

    ns:       numbers of samples, ascending
    problems: how many problems a resample draws, with replacement
    expected: by selector, (J, P) each problem's expected credit: exact for the best score, the oracle and a single vote, and for
              several votes over all orders that were drawn, about as many per problem as there are resamples
    means:    by selector, (J, R) mean credit of each resample
    """

    ns: tuple[int, ...]
    problems: int
    expected: Mapping[str, Floats] = field(repr=False)
    means: Mapping[str, Floats] = field(repr=False)

    @property
    def values(self) -> dict[str, Floats]:
        """By selector, (J,) mean credit over problems."""
        return {name: credit.mean(axis=1) for name, credit in self.expected.items()}

    def accuracy(self, selector: str, n: int) -> Interval:
        """Expected credit, with its 95% interval over problems: how good it is, on average over runs."""
        return accuracy(np.clip(self._of(selector, n), 0.0, 1.0))

    def gain(self, first: tuple[str, int], second: tuple[str, int]) -> Interval:
        """Expected credit of one (selector, n) minus another's, paired by problem."""
        return difference(*(np.clip(self._of(*each), 0.0, 1.0) for each in (first, second)))

    def interval(self, selector: str, n: int) -> Interval:
        """Mean credit, with the 95% interval of what one run may show: Wilson's of that many trials where no resample differs, so
        it's never empty."""
        value, means = self._at(selector, n)
        if float(np.ptp(means)) == 0.0:
            return Interval(value, *wilson(value * self.problems, self.problems))
        return self._spread(value, means, 0.0)

    def difference(self, first: tuple[str, int], second: tuple[str, int]) -> Interval:
        """Credit of one (selector, n) minus another's in one run, paired by resample: the same problems and samples."""
        (value, means), (other, others) = self._at(*first), self._at(*second)
        return self._spread(value - other, means - others, -1.0)

    def _of(self, selector: str, n: int) -> Floats:
        if selector not in self.means or n not in self.ns:
            known = f"{', '.join(self.means)} at {', '.join(map(str, self.ns))}"
            raise BadInput(f"there is no {selector!r} at {n}; there is {known}", where="resampling")
        return np.asarray(self.expected[selector][self.ns.index(n)])

    def _at(self, selector: str, n: int) -> tuple[float, Floats]:
        value = float(self._of(selector, n).mean())
        return min(max(value, 0.0), 1.0), self.means[selector][self.ns.index(n)]

    def _spread(self, value: float, means: Floats, least: float) -> Interval:
        """Quantiles, widened because a resample of P problems spreads sqrt((P - 1) / P) of what P problems do."""
        low, high = np.quantile(means, [0.025, 0.975])
        centre, wider = float(means.mean()), (self.problems / max(self.problems - 1, 1)) ** 0.5
        low, high = centre + (low - centre) * wider, centre + (high - centre) * wider
        return Interval(value, max(least, min(float(low), value)), min(1.0, max(float(high), value)))


def resample(
    problems: Sequence[ProblemSamples],
    ns: Sequence[int],
    *,
    resamples: int = 1000,
    seed: int = 0,
    threads: int | None = None,
) -> Resampled:
    """Resample problems and ordered subsets of their samples.

    ns:      numbers of samples, drawn without replacement
    threads: None: one per processor; the result doesn't depend on it

    There is a weighted majority (best-of-n) where every problem has weights (scores). Raises BadInput for no problems, and
    for an n that is not between 1 and the fewest samples of a problem.
    """
    ordered, fewest = tuple(sorted(set(ns))), min((each.n for each in problems), default=0)
    if not ordered or ordered[0] < 1 or ordered[-1] > fewest or resamples < 2:
        raise BadInput(f"every n must be between 1 and {fewest}, the fewest samples, and resamples 2 or more", where="resampling")
    if seed < 0:
        raise BadInput(f"is {seed} and must be at least 0", where="seed")
    weighted, scored = (all(has) for has in zip(*((p.weights is not None, p.scores is not None) for p in problems), strict=True))
    names = ["majority", *(["weighted_majority"] if weighted else []), *(["best_of_n"] if scored else []), ORACLE]
    rng = np.random.default_rng(seed)
    expected, sums = np.zeros((len(names), len(ordered), len(problems))), []
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for size in [_BLOCK] * (resamples // _BLOCK) + [resamples % _BLOCK] * (resamples % _BLOCK > 0):
            drawn = rng.multinomial(len(problems), np.full(len(problems), 1 / len(problems)), size=size)
            bank = _bank(rng, {each.n for each in problems}, ordered, int(drawn.sum(axis=0).max()))
            renamed = [each.taken(rng.permutation(each.n)) for each in problems]
            jobs = [
                (renamed[at : at + _TOGETHER], drawn[:, at : at + _TOGETHER], bank, ordered, names)
                for at in range(0, len(problems), _TOGETHER)
            ]
            parts = list(pool.map(lambda job: _summed(*job), jobs))
            sums.append(np.sum([part for part, _ in parts], axis=0))
            expected += np.concatenate([mean for _, mean in parts], axis=2) * (size / resamples)
    means = np.concatenate(sums, axis=2) / len(problems)
    expected[names.index(ORACLE)] = _coverage(problems, ordered)
    if scored:
        expected[names.index("best_of_n")] = _best(problems, ordered)
    if ordered[0] == 1:  # each sample is the first as often as any other
        firsts = (credit_of_prefixes(each, np.arange(each.n)[None], [1], names).mean(axis=2)[:, 0] for each in problems)
        expected[:, 0] = np.stack([*firsts], axis=1)
    return Resampled(ordered, len(problems), dict(zip(names, expected, strict=True)), dict(zip(names, means, strict=True)))


def _coverage(problems: Sequence[ProblemSamples], ns: Sequence[int]) -> Floats:
    """(J, P) pass@n, exactly."""
    samples, right = [each.n for each in problems], [int(each.right.sum()) for each in problems]
    return np.asarray([pass_at_k(samples, right, n) for n in ns])


def _best(problems: Sequence[ProblemSamples], ns: Sequence[int]) -> Floats:
    """(J, P) best-of-n, exactly."""
    found = []
    for each in problems:
        assert each.scores is not None
        found.append(best_curve(np.where(each.classes < 0, np.nan, each.scores), each.right, ns))
    return np.stack(found, axis=1)


def _bank(rng: np.random.Generator, sizes: set[int], ns: Sequence[int], orders: int) -> dict[int, Orders]:
    """By number of samples: (T, orders), the first T samples of each random order; T is the largest n that leaves any out."""
    found = {}
    for n in sorted(sizes):
        longest = max((each for each in ns if each < n), default=0)
        drawn = rng.permuted(np.tile(np.arange(n, dtype=np.uint32), (orders, 1)), axis=1)[:, :longest]
        found[n] = np.ascontiguousarray(drawn.T, dtype=np.intp)
    return found


def _summed(
    problems: Sequence[ProblemSamples],
    drawn: NDArray[np.int64],
    bank: Mapping[int, Orders],
    ns: Sequence[int],
    names: Sequence[str],
) -> tuple[Floats, Floats]:
    """Summed credit of some problems in each resample, (S, J, R), and the mean credit of each, (S, J, P).

    drawn: (R, P) how often a resample draws each problem; every draw takes the next order of the bank
    """
    shape = len(names), len(ns)
    total, mean = np.zeros((*shape, len(drawn))), np.zeros((*shape, len(problems)))
    for at, (samples, times) in enumerate(zip(problems, drawn.T, strict=True)):
        credit = credit_of_prefixes(samples, bank[samples.n], ns, names)
        upto = np.zeros((*shape, credit.shape[2] + 1))
        np.cumsum(credit, axis=2, out=upto[:, :, 1:])
        mean[:, :, at] = upto[:, :, -1] / credit.shape[2]
        total += np.diff(upto[:, :, np.concatenate([[0], times.cumsum()])], axis=2)
    return total, mean
