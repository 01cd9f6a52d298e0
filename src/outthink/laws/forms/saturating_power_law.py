"""The exponentiated power law below a ceiling, for curves that level off before 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from outthink.laws.forms.base import CEILING, CurveForm
from outthink.laws.forms.exponentiated_power_law import AMOUNT, EXPONENT, line
from outthink.laws.parameters import Floats


class SaturatingPowerLaw(CurveForm):
    """score = ceiling exp(-a x^-b). Ceiling and exponent can't be told apart before the curve bends."""

    name = "saturating_power_law"
    title = "exponentiated power law with ceiling"
    equation = "ceiling exp(-a x^-b)"
    source = "used for selection curves after arXiv:2407.21787: bounded least squares, ceiling at most 1"
    parameters = (CEILING, AMOUNT, EXPONENT)

    def raw(self, values: Floats, x: Floats) -> Floats:
        """The equation."""
        ceiling, a, b = map(float, values)
        return ceiling * np.exp(-a * x**-b)

    def starts(self, x: Floats, y: Floats) -> list[Sequence[float]]:
        """Ceilings from just above the last point to 1."""
        top = float(np.max(y))
        return [(c, *line(x, y / c)) for c in (min(1.02 * top + 1e-3, 0.999), min(0.5 + top / 2, 0.999), 0.999)]
