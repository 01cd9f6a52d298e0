"""What a form is: an equation with named, bounded parameters, and how its source fits it.

A form knows one fit of one data set. Intervals, warnings and choosing among forms are `laws.fit`'s and `laws.compare`'s.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from outthink.core.errors import BadInput
from outthink.laws.data import Counts, Data
from outthink.laws.optimise import least_squares, minimise
from outthink.laws.parameters import Floats, Parameter

CEILING = Parameter("ceiling", "the score that unlimited spend would reach", 1e-3, 1.0, positive=False, natural=(1.0,))


class Form(ABC):
    """An equation for a score in [0, 1] against spend.

    equation:   in words of the parameters and x, the spend
    source:     where it comes from, and how it is fitted there
    coverage:   it describes the chance that any sample is right; votes and best-of-n, which may fall, don't follow it
    """

    name: ClassVar[str]
    title: ClassVar[str]
    equation: ClassVar[str]
    source: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    coverage: ClassVar[bool] = False

    @property
    def free(self) -> int:
        """How many parameters the fit sets."""
        return sum(not parameter.fixed for parameter in self.parameters)

    @abstractmethod
    def value(self, values: Floats, x: Floats) -> Floats:
        """Score in [0, 1] at each spend (K,), for values of the parameters in their order."""

    def holds(self, values: Floats, x: float) -> bool:
        """Whether the equation gives a share at this spend without being cut to one."""
        return True

    @abstractmethod
    def fit(self, data: Data, starts: Sequence[Floats] = ()) -> Floats:
        """Values of the parameters that fit best.

        starts: where to begin (a resample begins at the fit of the whole); by default several, of the form's own

        Raises BadInput where the data can't be fitted.
        """


class CurveForm(Form):
    """A form fitted to the mean curve by least squares, in many starts.

    points:   of the curve that are fitted, evenly spread over log spend
    weighted: points count by 1 / (y (1 - y)), the inverse of a share's variance, instead of equally
    """

    points: ClassVar[int] = 40
    weighted: ClassVar[bool] = False

    @abstractmethod
    def raw(self, values: Floats, x: Floats) -> Floats:
        """The equation, not yet cut to [0, 1]."""

    @abstractmethod
    def starts(self, x: Floats, y: Floats) -> list[Sequence[float]]:
        """Values to begin from."""

    def transformed(self, score: Floats) -> Floats:
        """What residuals are differences of; values that aren't finite drop their points."""
        return score

    def value(self, values: Floats, x: Floats) -> Floats:
        """Score in [0, 1] at each spend."""
        return np.clip(self.raw(values, np.asarray(x, dtype=np.float64)), 0.0, 1.0)

    def holds(self, values: Floats, x: float) -> bool:
        """Whether the equation, uncut, lies in [0, 1]."""
        return -1e-9 <= float(self.raw(values, np.array([x]))[0]) <= 1 + 1e-9

    def fit(self, data: Data, starts: Sequence[Floats] = ()) -> Floats:
        """Least squares. Raises BadInput where there are no more points than parameters."""
        x, y = data.curve(self.points)
        if not np.any(y > 0):
            raise BadInput("the score is 0 throughout; there is nothing to fit", where=data.name)
        with np.errstate(all="ignore"):
            target = self.transformed(y)
        kept = np.isfinite(target)
        if kept.sum() <= len(self.parameters):
            raise BadInput(
                f"{self.name} has {len(self.parameters)} parameters and there are {kept.sum()} points to fit; measure more",
                where=data.name,
            )
        x, y, target = x[kept], y[kept], target[kept]
        # The floor keeps a score of 0 or 1, whose variance looks like none, from being the only point that counts.
        roots = 1 / np.sqrt(np.maximum(y * (1 - y), 1e-3)) if self.weighted else np.ones(len(x))

        def residuals(values: Floats) -> Floats:
            return (self.transformed(self.raw(values, x)) - target) * roots

        return least_squares(residuals, self.parameters, starts or [np.array(start) for start in self.starts(x, y)])


class CountForm(Form):
    """A form for coverage that is fitted to counts by maximum likelihood, one term per problem, summed."""

    coverage = True

    @abstractmethod
    def likelihood(self, data: Counts) -> Likelihood:
        """What to maximise for these counts."""

    def fit(self, data: Data, starts: Sequence[Floats] = ()) -> Floats:
        """Maximum likelihood. Raises BadInput for a curve, and where nothing was ever right or wrong."""
        if not isinstance(data, Counts):
            raise BadInput(f"{self.name} is fitted to counts of right samples, not to a curve of {data.metric}", where=data.name)
        counted = data.weights > 0
        if not np.any(data.c[counted] > 0):
            raise BadInput("no sample of any problem is right; there is nothing to fit", where=data.name)
        if np.all(data.c[counted] == data.n[counted]):
            raise BadInput("every sample is right; there is nothing to fit", where=data.name)
        likelihood = self.likelihood(data)
        begun = [np.array([*start[: self.free], *likelihood.fixed]) for start in starts or likelihood.starts]
        return minimise(likelihood.cost, self.parameters, begun)


class Likelihood(ABC):
    """Minus the log-likelihood of one data set. starts: where to begin; fixed: values of the fixed parameters, which are last."""

    starts: Sequence[Floats] = (np.array([0.35, 3.5]), np.array([1.0, 30.0]))
    fixed: tuple[float, ...] = ()

    @abstractmethod
    def cost(self, values: Floats) -> float:
        """Minus the summed log-likelihood, and minus the log prior where there is one."""
