"""The same law read off a straight line, as in How Do Large Language Monkeys Get Their Power: early budgets count more."""

from __future__ import annotations

import numpy as np

from outthink.laws.forms.exponentiated_power_law import ExponentiatedPowerLaw
from outthink.laws.parameters import Floats


class PowerLaw(ExponentiatedPowerLaw):
    """-log score = a x^-b, by least squares in log(-log score). Points with a score of 0 or 1 are left out, which biases."""

    name = "power_law"
    title = "power law of -log"
    equation = "-log score = a x^-b"
    source = "arXiv:2502.17578: least squares of log(-log coverage) on log k at 100 log-spaced k"
    points = 100

    def transformed(self, score: Floats) -> Floats:
        """log(-log score)."""
        return np.log(-np.log(score))
