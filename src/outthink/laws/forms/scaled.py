"""What the two scaled forms for coverage share: success rates p = scale q with q on (0, 1), integrated on a grid of logit q.

Coverage is 1 - E[(1 - p)^x]; the likelihood of c of n is E[p^c (1 - p)^(n - c)]. Evenly spaced points in logit q resolve both
ends; what lies beyond the grid is put on its two ends exactly. One step is at most the width of a binomial's peak, at which
the trapezoid rule is right to about nine digits.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np
from scipy.special import xlog1py, xlogy

from outthink.laws.data import Counts
from outthink.laws.forms.base import CountForm, Likelihood
from outthink.laws.forms.beta_binomial import grouped
from outthink.laws.parameters import Floats, Parameter

SCALE = Parameter("scale", "the largest success rate there is", 1e-6, 1.0, fixed=True)


class Grid:
    """Points in logit q out to where most samples can't tell q from 0 or 1.

    log_q, log_left: log q and log(1 - q), each exact at its own end
    """

    def __init__(self, most: float, step: float = 0.02) -> None:
        end = math.log(max(most, 1.0)) + 23
        t = np.linspace(-end, end, 2 * math.ceil(end / min(step, 2 / math.sqrt(max(most, 1.0)))) + 1)
        self.step = float(t[1] - t[0])
        self.log_q, self.log_left = -np.logaddexp(0.0, -t), -np.logaddexp(0.0, t)

    def probabilities(self, form: ScaledForm, alpha: float, beta: float) -> Floats:
        """Mass at each point, with all that lies beyond on the first and last."""
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            mass = np.exp(form.log_density(alpha, beta, self.log_q, self.log_left) + self.log_q + self.log_left) * self.step
            mass[[0, -1]] /= 2
            low, high = form.tails(alpha, beta, float(self.log_q[0]), float(self.log_left[-1]))
        mass[0] += low
        mass[-1] += high
        return np.nan_to_num(mass)


class ScaledForm(CountForm):
    """A form whose success rates are scaled to the largest that is likely: (P + 1) / P of the largest share of right samples."""

    @abstractmethod
    def log_density(self, alpha: float, beta: float, log_q: Floats, log_left: Floats) -> Floats:
        """Of q, from log q and log(1 - q)."""

    @abstractmethod
    def tails(self, alpha: float, beta: float, log_q: float, log_left: float) -> tuple[float, float]:
        """Mass of q below exp(log_q), and of 1 - q below exp(log_left)."""

    def value(self, values: Floats, x: Floats) -> Floats:
        """Coverage at each number of samples."""
        alpha, beta, scale = map(float, values)
        grid = Grid(float(np.max(x, initial=1.0)), 0.01) if np.max(x, initial=1.0) < 1e4 else Grid(float(np.max(x)), 2.0)
        miss = np.log1p(-scale * np.exp(grid.log_q)) if scale < 1 else grid.log_left
        gone = -np.expm1(np.asarray(x, dtype=np.float64)[:, None] * miss)
        return np.clip(gone @ grid.probabilities(self, alpha, beta), 0.0, 1.0)

    def likelihood(self, data: Counts) -> Likelihood:
        """Of the counts, with the scale that they say."""
        return _Likelihood(self, data)


class _Likelihood(Likelihood):
    def __init__(self, form: ScaledForm, data: Counts) -> None:
        n, c, self._weights = grouped(data)
        self._form, self._grid = form, Grid(float(n.max()))
        problems = float(data.weights.sum())
        scale = min(1.0, (problems + 1) / problems * float((c / n).max()))
        self.fixed = (scale,)
        p, grid = scale * np.exp(self._grid.log_q), self._grid
        miss = (n - c)[:, None] * grid.log_left if scale == 1 else xlog1py((n - c)[:, None], -p)
        log = c[:, None] * (math.log(scale) + grid.log_q) + miss
        # Each row is scaled by what is likeliest, so that nothing underflows; the constants make it a log-likelihood again.
        share = c / n
        self._peak = xlogy(c, share) + xlog1py(n - c, -share)
        self._rows = np.exp(log - self._peak[:, None])

    def cost(self, values: Floats) -> float:
        mass = self._grid.probabilities(self._form, float(values[0]), float(values[1]))
        return float(-(self._weights @ (np.log(self._rows @ mass + 1e-300) + self._peak)))
