"""What laws are fitted to: counts of right samples, or a curve of a score against spend. Reading files is `laws.read`'s.

Problems are the unit of chance: a resample draws problems with replacement and never attempts within one, because pass@k is an
estimator without replacement and would be biased by that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import pass_at_k
from outthink.laws.parameters import Floats

Ints = NDArray[np.int64]

COVERAGE = "coverage (pass@k)"


class Data(ABC):
    """Measured quality against spend.

    name: of what was measured, for messages;  metric, unit: what the score and the spend are
    """

    name: str
    metric: str
    unit: str

    @property
    @abstractmethod
    def problems(self) -> int:
        """How many problems were measured, 0 where that is not known."""

    @property
    @abstractmethod
    def smallest(self) -> float:
        """The first spend."""

    @property
    @abstractmethod
    def largest(self) -> float:
        """The last spend of the curve."""

    @abstractmethod
    def curve(self, points: int) -> tuple[Floats, Floats]:
        """Spend (K,) and mean score (K,), at about so many points evenly spread over log spend, or where it was measured."""

    @abstractmethod
    def table(self, points: int) -> Floats | None:
        """Score of each problem (P, K) at the points of `curve`; None where only means are known."""

    @abstractmethod
    def resampled(self, rng: np.random.Generator) -> Self:
        """The same with problems drawn again with replacement."""

    @abstractmethod
    def upto(self, largest: float, rng: np.random.Generator) -> Self:
        """What would be known had no more than this been spent."""


@dataclass(frozen=True, eq=False)
class Counts(Data):
    """Right samples of all samples, per problem, of one model.

    n, c:    (P,) samples, and right ones among them
    weights: (P,) how often each problem counts
    stopped: sampling went on until something was right, so that n depends on the outcome: only likelihoods hold then
    """

    n: Ints
    c: Ints
    name: str = "counts"
    stopped: bool = False
    weights: Floats = field(default_factory=lambda: np.empty(0))
    _tables: dict[int, Floats] = field(default_factory=dict, repr=False)

    metric = COVERAGE
    unit = "samples"

    def __post_init__(self) -> None:
        if self.n.ndim != 1 or self.n.shape != self.c.shape or len(self.n) == 0:
            raise BadInput("needs n and c for at least one problem", where=self.name)
        bad = np.flatnonzero((self.n < 1) | (self.c < 0) | (self.c > self.n))
        if len(bad):
            at = int(bad[0])
            raise BadInput(f"row {at}: {self.c[at]} right of {self.n[at]} samples can't be", where=self.name)
        if not len(self.weights):
            object.__setattr__(self, "weights", np.ones(len(self.n)))

    @classmethod
    def of(cls, n: ArrayLike, c: ArrayLike, *, name: str = "counts", stopped: bool = False) -> Counts:
        """Counts from anything that numpy takes; one n may stand for all problems. Raises BadInput."""
        samples, right = np.broadcast_arrays(np.asarray(n, dtype=np.int64), np.asarray(c, dtype=np.int64))
        return cls(samples.copy(), right.copy(), name, stopped)

    @property
    def problems(self) -> int:
        """How many problems were measured."""
        return len(self.n)

    @property
    def smallest(self) -> float:
        """One sample."""
        return 1.0

    @property
    def largest(self) -> float:
        """The fewest samples of a problem: up to there, coverage needs no assumption. Where sampling was stopped, the most."""
        return float(self.n.max() if self.stopped else self.n.min())

    def ks(self, points: int) -> Ints:
        """About so many whole numbers of samples, evenly spread over the logarithm."""
        return np.unique(np.round(np.geomspace(1, self.largest, points)).astype(np.int64))

    def table(self, points: int) -> Floats:
        """pass@k of each problem (P, K). Raises BadInput where sampling was stopped by its outcome."""
        if self.stopped:
            raise BadInput(
                "sampling was stopped by success, so pass@k of (n, c) is biased; fit a form that uses the counts (beta_binomial)",
                where=self.name,
            )
        if points not in self._tables:
            pairs, where = np.unique(np.stack([self.n, self.c]), axis=1, return_inverse=True)
            columns = [pass_at_k(pairs[0], pairs[1], int(k)) for k in self.ks(points)]
            self._tables[points] = np.stack(columns, axis=1)[where.ravel()]
        return self._tables[points]

    def curve(self, points: int) -> tuple[Floats, Floats]:
        """Samples (K,) and coverage (K,)."""
        return self.ks(points).astype(np.float64), self.weights @ self.table(points) / self.weights.sum()

    def resampled(self, rng: np.random.Generator) -> Counts:
        """The same with problems drawn again with replacement."""
        return replace(self, weights=drawn(rng, self.problems))

    def upto(self, largest: float, rng: np.random.Generator) -> Counts:
        """Counts among so many samples of each problem, drawn without replacement."""
        if self.stopped:
            raise BadInput(
                "sampling was stopped by success, so smaller budgets can't be redrawn from the counts", where=self.name
            )
        n = np.minimum(self.n, int(largest))
        return replace(self, n=n, c=rng.hypergeometric(self.c, self.n - self.c, n).astype(np.int64), _tables={})


@dataclass(frozen=True, eq=False)
class Curve(Data):
    """A score in [0, 1] measured at several spends.

    x:     (K,) spend, rising
    y:     (K,) mean score
    scores: (P, K) each problem's score; None where only means are known
    error: (K,) standard errors of y where `scores` is None; None where they are not known either
    rounds: the scores say whether each problem was solved by round x, once solved always solved
    """

    x: Floats
    y: Floats
    scores: Floats | None = None
    error: Floats | None = None
    name: str = "curve"
    metric: str = "score"
    unit: str = "samples"
    rounds: bool = False
    weights: Floats = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        columns = [self.y, self.error] if self.error is not None else [self.y]
        if self.x.ndim != 1 or any(column.shape != self.x.shape for column in columns) or len(self.x) == 0:
            raise BadInput("needs one score (and one standard error, or none) for each spend", where=self.name)
        if not np.all(np.isfinite(self.x)) or self.x[0] <= 0 or np.any(np.diff(self.x) <= 0):
            raise BadInput("spends must be above 0 and rise from point to point", where=self.name)
        if not np.all((self.y >= -1e-9) & (self.y <= 1 + 1e-9)):
            raise BadInput("scores must be shares between 0 and 1", where=self.name)
        if self.error is not None and not np.all(self.error >= 0):
            raise BadInput("standard errors must be 0 or more", where=self.name)
        if self.scores is not None and not len(self.weights):
            object.__setattr__(self, "weights", np.ones(len(self.scores)))

    @classmethod
    def of(
        cls, x: ArrayLike, scores: ArrayLike, *, error: ArrayLike | None = None, name: str = "curve", metric: str = "score",
        unit: str = "samples",
    ) -> Curve:  # fmt: skip
        """A curve from means (K,), or from each problem's scores (P, K). Raises BadInput."""
        spend, found = np.asarray(x, dtype=np.float64), np.asarray(scores, dtype=np.float64)
        each = found if found.ndim == 2 else None
        errors = None if error is None or each is not None else np.asarray(error, dtype=np.float64)
        return cls(spend, found.mean(axis=0) if each is not None else found, each, errors, name, metric, unit)

    @classmethod
    def first_solved(cls, rounds: ArrayLike, last: int, *, name: str = "rounds") -> Curve:
        """From the round in which each problem was first solved, (P,); 0 for one that never was in `last` rounds."""
        first = np.asarray(rounds, dtype=np.int64)
        if first.ndim != 1 or last < 1 or np.any((first < 0) | (first > last)):
            raise BadInput(f"first rounds must be 1 to {last}, or 0 for never", where=name)
        x = np.arange(1, last + 1)
        scores = ((first[:, None] > 0) & (first[:, None] <= x)).astype(np.float64)
        return cls(x.astype(np.float64), scores.mean(axis=0), scores, None, name, "solved by round", "rounds", True)

    @property
    def problems(self) -> int:
        """How many problems were measured, 0 where that is not known."""
        return 0 if self.scores is None else len(self.scores)

    @property
    def smallest(self) -> float:
        """The first spend."""
        return float(self.x[0])

    @property
    def largest(self) -> float:
        """The last spend."""
        return float(self.x[-1])

    def table(self, points: int) -> Floats | None:
        """Score of each problem (P, K)."""
        return self.scores

    def curve(self, points: int) -> tuple[Floats, Floats]:
        """Spend (K,) and mean score (K,), where it was measured."""
        if self.scores is None:
            return self.x, self.y
        return self.x, self.weights @ self.scores / self.weights.sum()

    def resampled(self, rng: np.random.Generator) -> Curve:
        """Problems drawn again; where only standard errors are known, the means moved by them.

        How errors at different spends go together is then not known: half of the draws move all points together, half each
        for itself, so that an interval covers both.
        """
        if self.scores is not None:
            return replace(self, weights=drawn(rng, self.problems))
        if self.error is None:
            return self
        together = rng.random() < 0.5
        moved = self.y + self.error * (rng.normal() if together else rng.normal(size=len(self.y)))
        return replace(self, y=np.clip(moved, 0.0, 1.0))

    def upto(self, largest: float, rng: np.random.Generator) -> Curve:
        """The points up to there."""
        kept = self.x <= largest * (1 + 1e-12)
        return replace(
            self, x=self.x[kept], y=self.y[kept], error=None if self.error is None else self.error[kept],
            scores=None if self.scores is None else self.scores[:, kept],
        )  # fmt: skip


def drawn(rng: np.random.Generator, problems: int) -> Floats:
    """How often each of so many problems is drawn in as many draws with replacement."""
    return rng.multinomial(problems, np.full(problems, 1 / problems)).astype(np.float64)
