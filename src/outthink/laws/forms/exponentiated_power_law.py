"""The coverage law of Large Language Monkeys, fitted as there: in plain coverage, at 40 budgets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from outthink.laws.forms.base import CurveForm
from outthink.laws.parameters import Floats, Parameter

AMOUNT = Parameter("a", "minus the log score at a spend of one", 1e-4, 1e4)
EXPONENT = Parameter("b", "how fast minus the log score falls per e-fold of spend", 1e-3, 10.0)


class ExponentiatedPowerLaw(CurveForm):
    """score = exp(-a x^-b), by least squares in the score itself."""

    name = "exponentiated_power_law"
    title = "exponentiated power law"
    equation = "exp(-a x^-b)"
    source = "arXiv:2407.21787: SciPy's curve_fit in plain coverage at 40 log-spaced k"
    parameters = (AMOUNT, EXPONENT)
    coverage = True

    def raw(self, values: Floats, x: Floats) -> Floats:
        """The equation."""
        a, b = map(float, values)
        return np.exp(-a * x**-b)

    def starts(self, x: Floats, y: Floats) -> list[Sequence[float]]:
        """A line through log(-log y), and steeper and flatter guesses."""
        return [line(x, y), (2.0, 0.3), (5.0, 1.0), (0.5, 0.1)]


def line(x: Floats, y: Floats) -> tuple[float, float]:
    """(a, b) of the straight line through log(-log y) against log x, without the points where y is 0 or 1."""
    kept = (y > 0) & (y < 1)
    if kept.sum() < 2:
        return 1.0, 0.3
    slope, height = np.polyfit(np.log(x[kept]), np.log(-np.log(y[kept])), 1)
    return float(np.exp(height)), max(-float(slope), 0.01)
