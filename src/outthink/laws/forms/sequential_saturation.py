"""TTSPM's form for rounds of rethinking: a chain that is absorbed once the problem is solved.

Where a solved problem may be lost again, the curve is the same one: see `rates`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from outthink.laws.data import Curve, Data
from outthink.laws.forms.base import CEILING
from outthink.laws.forms.parallel_saturation import ParallelSaturation
from outthink.laws.optimise import minimise
from outthink.laws.parameters import Floats, Parameter


class SequentialSaturation(ParallelSaturation):
    """score = ceiling (1 - (1 - p)^x), p per round. Rounds in which problems were first solved are fitted by likelihood."""

    name = "sequential_saturation"
    title = "TTSPM, sequential"
    source = "arXiv:2505.20522, F_seq: censored geometric likelihood of first solved rounds, else weighted least squares"
    parameters = (CEILING, Parameter("p", "chance that one round solves a solvable problem", 1e-7, 1.0, natural=(1.0,)))
    coverage = False

    def fit(self, data: Data, starts: Sequence[Floats] = ()) -> Floats:
        """Likelihood for `Curve.first_solved`, least squares for any other curve. Raises BadInput."""
        if not (isinstance(data, Curve) and data.rounds and data.scores is not None) or len(data.x) < 2:
            return super().fit(data, starts)
        # Scores are 0 until a problem is solved and 1 from then on, so their differences mark the first solved rounds.
        first = data.weights @ np.diff(data.scores, axis=1, prepend=0.0)
        never = float(data.weights.sum() - first.sum())
        last = float(data.x[-1])

        def cost(values: Floats) -> float:
            ceiling, p = values
            miss = np.log1p(-min(p, 1 - 1e-12))
            solved = np.log(ceiling) + np.log(p) + (data.x - 1) * miss
            left = 1 - ceiling * -np.expm1(last * miss)
            return float(-(first @ solved) - (never * np.log(left) if never else 0.0))

        return minimise(cost, self.parameters, starts or [np.array(start) for start in self.starts(*data.curve(0))])


def rates(ceiling: float, p: float) -> tuple[float, float]:
    """(solved per round, lost per round) of the chain that forgets, whose curve is ceiling (1 - (1 - p)^x).

    Its solved share after x rounds is s / (s + l) (1 - (1 - s - l)^x), so ceiling = s / (s + l) and p = s + l.
    """
    return ceiling * p, (1 - ceiling) * p
