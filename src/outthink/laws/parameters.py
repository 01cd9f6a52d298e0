"""Parameters of a form: their meaning, unit and bounds, and the unbounded coordinates in which they are fitted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EDGE = 7.0
"""Unbounded coordinate from which a parameter counts as being at its bound: within a thousandth of its range."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a form.

    low, high: bounds, inclusive in the limit
    unit:      what it is measured in; "" for a pure number
    positive:  it is a scale, so that its logarithm is what is spread evenly between the bounds
    natural:   bounds at which the form is simply a simpler one (a ceiling of 1), so that being there is no alarm
    fixed:     set by a rule from the data, not by the fit
    """

    name: str
    meaning: str
    low: float
    high: float
    unit: str = ""
    positive: bool = True
    natural: tuple[float, ...] = ()
    fixed: bool = False

    def outside(self, value: float) -> float:
        """The unbounded coordinate of a value; values at or beyond a bound land just inside."""
        low, high, value = self._scaled(self.low), self._scaled(self.high), self._scaled(max(value, self.low))
        share = min(max((value - low) / (high - low), 1e-5), 1 - 1e-5)
        return math.log(share / (1 - share))

    def inside(self, coordinate: float) -> float:
        """The value at an unbounded coordinate."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        share = 1 / (1 + math.exp(-coordinate)) if coordinate > -700 else 0.0
        return min(
            max(math.exp(low + (high - low) * share) if self.positive else low + (high - low) * share, self.low), self.high
        )

    def bound(self, value: float) -> float | None:
        """The bound that a value is at, or None."""
        coordinate = self.outside(value)
        return None if abs(coordinate) < EDGE else self.high if coordinate > 0 else self.low

    def settled(self, value: float) -> float:
        """The value, or the natural bound that it can't be told from."""
        return next((bound for bound in self.natural if abs(value - bound) <= 1e-5 * (self.high - self.low)), value)

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.positive else value


def inside(parameters: Sequence[Parameter], coordinates: Floats) -> Floats:
    """Values at unbounded coordinates."""
    return np.array([parameter.inside(float(at)) for parameter, at in zip(parameters, coordinates, strict=True)])


def outside(parameters: Sequence[Parameter], values: Sequence[float] | Floats) -> Floats:
    """Unbounded coordinates of values."""
    return np.array([parameter.outside(float(value)) for parameter, value in zip(parameters, values, strict=True)])
