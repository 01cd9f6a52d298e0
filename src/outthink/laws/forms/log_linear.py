"""A straight line against the logarithm of spend, the shape of o1's published plots. It must end where the score does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from outthink.laws.forms.base import CurveForm
from outthink.laws.parameters import Floats, Parameter


class LogLinear(CurveForm):
    """score = base + slope log x, cut to [0, 1]; by ordinary least squares."""

    name = "log_linear"
    title = "log-linear"
    equation = "base + slope log(x)"
    source = "arXiv:2410.04343 (inference budgets), arXiv:2407.12854 (datastores): ordinary least squares"
    parameters = (
        Parameter("base", "the score at a spend of one", -50.0, 50.0, positive=False),
        Parameter("slope", "score gained per e-fold of spend", -5.0, 5.0, positive=False),
    )

    def raw(self, values: Floats, x: Floats) -> Floats:
        """The equation."""
        base, slope = map(float, values)
        return base + slope * np.log(x)

    def starts(self, x: Floats, y: Floats) -> list[Sequence[float]]:
        """The solution itself."""
        slope, base = np.polyfit(np.log(x), y, 1)
        return [(float(base), float(slope))]
