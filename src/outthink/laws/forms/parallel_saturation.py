"""TTSPM's form for samples drawn in parallel: every solvable problem is as hard as every other, and some can't be solved."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from outthink.laws.forms.base import CEILING, CurveForm
from outthink.laws.parameters import Floats, Parameter


class ParallelSaturation(CurveForm):
    """score = ceiling (1 - (1 - p)^x). On problems of unequal difficulty it saturates too early: see beta_binomial."""

    name = "parallel_saturation"
    title = "TTSPM, parallel"
    equation = "ceiling (1 - (1 - p)^x)"
    source = "arXiv:2505.20522, F_par: least squares of the mean curve, weighted by 1 / (F (1 - F))"
    parameters = (CEILING, Parameter("p", "chance that one sample solves a solvable problem", 1e-7, 1.0, natural=(1.0,)))
    coverage = True
    weighted = True

    def raw(self, values: Floats, x: Floats) -> Floats:
        """The equation."""
        ceiling, p = map(float, values)
        return np.asarray(-ceiling * np.expm1(x * math.log1p(-min(p, 1 - 1e-12))), dtype=np.float64)

    def starts(self, x: Floats, y: Floats) -> list[Sequence[float]]:
        """The first point's rate below a ceiling just above the last point, and slower ones below 1."""
        top = float(np.clip(np.max(y) * 1.01 + 1e-3, 0.01, 0.999))
        rate = float(np.clip(y[0] / top / x[0], 1e-5, 0.9))
        return [(top, rate), (top, rate / 5), (0.999, rate / 5), (top, min(5 * rate, 0.9))]
