"""Coverage from success rates that follow a Kumaraswamy distribution on (0, scale)."""

from __future__ import annotations

import math

import numpy as np

from outthink.laws.forms.beta_binomial import ALPHA, BETA
from outthink.laws.forms.scaled import SCALE, ScaledForm
from outthink.laws.parameters import Floats


class Kumaraswamy(ScaledForm):
    """coverage = 1 - E[(1 - scale q)^x] with P(q > t) = (1 - t^alpha)^beta."""

    name = "kumaraswamy"
    title = "Kumaraswamy-binomial"
    equation = "1 - E[(1 - scale q)^x], P(q > t) = (1 - t^alpha)^beta"
    source = "arXiv:2502.17578: compound maximum likelihood by quadrature, scale as for the scaled Beta-binomial"
    parameters = (ALPHA, BETA, SCALE)

    def log_density(self, alpha: float, beta: float, log_q: Floats, log_left: Floats) -> Floats:
        """alpha beta q^(alpha - 1) (1 - q^alpha)^(beta - 1), in logs."""
        # 1 - q^alpha near q = 1 is alpha (1 - q): expm1 keeps its digits as long as log q does, and log q near 1 is -(1 - q).
        return math.log(alpha * beta) + (alpha - 1) * log_q + (beta - 1) * _log_rest(alpha, log_q)

    def tails(self, alpha: float, beta: float, log_q: float, log_left: float) -> tuple[float, float]:
        """From the distribution function, which is elementary."""
        low = -math.expm1(beta * math.log1p(-math.exp(alpha * log_q)))
        rest = -math.expm1(alpha * math.log1p(-math.exp(log_left)))
        return low, rest**beta


def _log_rest(alpha: float, log_q: Floats) -> Floats:
    return np.log(-np.expm1(alpha * log_q))
