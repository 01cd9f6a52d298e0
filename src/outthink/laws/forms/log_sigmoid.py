"""A sigmoid in the logarithm of spend: slow, fast, then level at a ceiling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from outthink.laws.forms.base import CEILING, CurveForm
from outthink.laws.parameters import Floats, Parameter


class LogSigmoid(CurveForm):
    """score = ceiling / (1 + (middle / x)^steepness)."""

    name = "log_sigmoid"
    title = "sigmoid in log spend"
    equation = "ceiling / (1 + (middle / x)^steepness)"
    source = "budget-forcing curves, such as arXiv:2501.19393's: bounded least squares"
    parameters = (
        CEILING,
        Parameter("steepness", "of the middle, per e-fold of spend", 1e-2, 50.0),
        Parameter("middle", "the spend at half the ceiling", 1e-9, 1e15, unit="spend"),
    )

    def raw(self, values: Floats, x: Floats) -> Floats:
        """The equation."""
        ceiling, steepness, middle = map(float, values)
        return ceiling * expit(steepness * (np.log(x) - math.log(middle)))

    def starts(self, x: Floats, y: Floats) -> list[Sequence[float]]:
        """Ceilings from just above the last point to 1, the middle where half of it is reached."""
        made: list[Sequence[float]] = []
        for ceiling in (min(1.02 * float(np.max(y)) + 1e-3, 0.999), 0.999):
            middle = float(x[int(np.argmin(np.abs(y - ceiling / 2)))])
            made += [(ceiling, steepness, middle) for steepness in (0.5, 2.0)]
        return made
