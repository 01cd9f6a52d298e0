"""Coverage from success rates that follow a Beta distribution on (0, scale): the estimator of the exponent in its source."""

from __future__ import annotations

import math

from scipy.special import betainc, betaln

from outthink.laws.forms.beta_binomial import ALPHA, BETA
from outthink.laws.forms.scaled import SCALE, ScaledForm
from outthink.laws.parameters import Floats


class ScaledBetaBinomial(ScaledForm):
    """coverage = 1 - E[(1 - scale q)^x] with q ~ Beta(alpha, beta). With scale 1 it is the Beta-binomial."""

    name = "scaled_beta_binomial"
    title = "scaled Beta-binomial"
    equation = "1 - E[(1 - scale q)^x], q ~ Beta(alpha, beta)"
    source = "arXiv:2502.17578: compound maximum likelihood, scale = (P + 1) / P of the largest share of right samples"
    parameters = (ALPHA, BETA, SCALE)

    def log_density(self, alpha: float, beta: float, log_q: Floats, log_left: Floats) -> Floats:
        """Of a Beta distribution."""
        return (alpha - 1) * log_q + (beta - 1) * log_left - betaln(alpha, beta)

    def tails(self, alpha: float, beta: float, log_q: float, log_left: float) -> tuple[float, float]:
        """Of a Beta distribution."""
        return float(betainc(alpha, beta, math.exp(log_q))), float(betainc(beta, alpha, math.exp(log_left)))
