"""Coverage from a Beta distribution of problems' success rates, fitted to the counts themselves."""

from __future__ import annotations

import numpy as np
from scipy.special import betaln

from outthink.laws.data import Counts
from outthink.laws.forms.base import CountForm, Likelihood
from outthink.laws.parameters import Floats, Parameter

ALPHA = Parameter("alpha", "exponent of the density of hard problems, and of the power law of -log coverage", 1e-2, 100.0)
BETA = Parameter("beta", "how rare easy problems are", 1e-2, 1e5)
_PRIOR = ((-1.0, 1.0), (2.0, 2.0))  # mean and standard deviation of log alpha and log beta


class BetaBinomial(CountForm):
    """coverage = 1 - B(alpha, beta + x) / B(alpha, beta).

    prior: with weak priors on both parameters, which keep few samples of a weak model from running off; False as in the source
    """

    name = "beta_binomial"
    title = "Beta-binomial"
    equation = "1 - B(alpha, beta + x) / B(alpha, beta)"
    source = "arXiv:2502.17578: maximum likelihood of the counts; here with weak priors unless told otherwise"
    parameters = (ALPHA, BETA)

    def __init__(self, *, prior: bool = True) -> None:
        self.prior = prior

    def value(self, values: Floats, x: Floats) -> Floats:
        """Coverage at each number of samples."""
        alpha, beta = map(float, values)
        return np.asarray(-np.expm1(betaln(alpha, beta + x) - betaln(alpha, beta)), dtype=np.float64)

    def likelihood(self, data: Counts) -> Likelihood:
        """Of the counts, equal ones counted once."""
        return _Likelihood(data, self.prior)


class _Likelihood(Likelihood):
    def __init__(self, data: Counts, prior: bool) -> None:
        self._n, self._c, self._weights = grouped(data)
        self._prior = prior

    def cost(self, values: Floats) -> float:
        alpha, beta = map(float, values)
        terms = betaln(alpha + self._c, beta + self._n - self._c) - betaln(alpha, beta)
        penalty = sum(((np.log(v) - mean) / sd) ** 2 / 2 for v, (mean, sd) in zip(values, _PRIOR, strict=True))
        return float(-(self._weights @ terms)) + (penalty if self._prior else 0.0)


def grouped(data: Counts) -> tuple[Floats, Floats, Floats]:
    """Distinct n and c that count, and the weight of each pair."""
    pairs, where = np.unique(np.stack([data.n, data.c]), axis=1, return_inverse=True)
    weights = np.asarray(np.bincount(where.ravel(), weights=data.weights), dtype=np.float64)
    kept = weights > 0
    return pairs[0][kept].astype(np.float64), pairs[1][kept].astype(np.float64), weights[kept]
