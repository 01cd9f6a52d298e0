"""A power law of the error that ends in an error which no spend removes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from outthink.laws.forms.base import CurveForm
from outthink.laws.parameters import Floats, Parameter


class PowerLawWithFloor(CurveForm):
    """1 - score = floor + a x^-b."""

    name = "power_law_with_floor"
    title = "power law of the error with floor"
    equation = "1 - floor - a x^-b"
    source = "arXiv:2001.08361 and arXiv:2203.15556, their loss law used for an error: bounded least squares, many starts"
    parameters = (
        Parameter("floor", "the error that no spend removes", 0.0, 0.999, positive=False, natural=(0.0,)),
        Parameter("a", "the error above the floor at a spend of one", 1e-4, 1e8),
        Parameter("b", "how fast that error falls per e-fold of spend", 1e-3, 10.0),
    )

    def raw(self, values: Floats, x: Floats) -> Floats:
        """The equation."""
        floor, a, b = map(float, values)
        return 1 - floor - a * x**-b

    def starts(self, x: Floats, y: Floats) -> list[Sequence[float]]:
        """Floors from none to just below the least error, each with the line through the log of what is above it."""
        error = 1 - y
        floors = [share * float(np.min(error)) for share in (0.01, 0.5, 0.9)]
        return [(floor, *_line(x, error - floor)) for floor in floors]


def _line(x: Floats, above: Floats) -> tuple[float, float]:
    kept = above > 0
    if kept.sum() < 2:
        return 0.5, 0.5
    slope, height = np.polyfit(np.log(x[kept]), np.log(above[kept]), 1)
    return float(np.exp(height)), max(-float(slope), 0.01)
