"""The exponent of coverage's power law from counts, with as few samples as can be, and whether there is a power law at all.

-log coverage falls like k^-b exactly where the density of success rates near 0 rises like p^(b-1) (arXiv:2502.17578): the
left tail of the problems is the exponent, and can be estimated without ever drawing enough samples to see the curve's end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc

from outthink.core.errors import BadInput, UnknownName
from outthink.evaluation.intervals import Interval
from outthink.laws.data import Counts
from outthink.laws.forms.beta_binomial import ALPHA, BETA, BetaBinomial
from outthink.laws.forms.power_law import PowerLaw
from outthink.laws.forms.scaled_beta_binomial import ScaledBetaBinomial
from outthink.laws.law import band
from outthink.laws.optimise import minimise
from outthink.laws.parameters import Floats


@dataclass(frozen=True, slots=True)
class Exponent:
    """An estimated exponent with its 95% interval over problems.

    verdict: whether the curve itself looks like a power law: "power law", "faster", "slower", or "undecided"
    """

    method: str
    value: Interval
    verdict: str


def by_line(counts: Counts) -> float:
    """Minus the slope of log(-log coverage) on log k: the curve's own slope, which says nothing beyond it."""
    return float(PowerLaw().fit(counts)[1])


def by_beta(counts: Counts) -> float:
    """alpha of a Beta-binomial, by maximum likelihood."""
    return float(BetaBinomial(prior=False).fit(counts)[0])


def by_scaled_beta(counts: Counts) -> float:
    """alpha of a Beta-binomial on (0, scale), by maximum likelihood."""
    return float(ScaledBetaBinomial().fit(counts)[0])


def by_bins(counts: Counts) -> float:
    """alpha of a scaled Beta whose mass in bins of the share of right samples fits best: the source's estimator.

    The bins are [0, 1/n), which holds all that n samples can't see, and n / 10 evenly spread over log share up to 1. Raises
    BadInput where problems have different numbers of samples.
    """
    if counts.n.min() != counts.n.max():
        raise BadInput("bins need as many samples of each problem; use beta or scaled_beta", where=counts.name)
    n = float(counts.n[0])
    share = counts.c / n
    scale = float(share[counts.weights > 0].max())
    if scale == 0:
        raise BadInput("no sample of any problem is right; there is nothing to fit", where=counts.name)
    edges = np.concatenate([[0.0], np.geomspace(1 / n, 1, max(round(n / 10), 2) + 1)])
    # A share that is an edge belongs to the bin above it, up to rounding; a share of 1 to the last.
    bins = np.clip(np.searchsorted(edges * (1 - 1e-12), share, side="right") - 1, 0, len(edges) - 2)
    weights = np.bincount(bins, weights=counts.weights, minlength=len(edges) - 1)

    def cost(values: Floats) -> float:
        mass = np.diff(betainc(values[0], values[1], np.minimum(edges / scale, 1.0)))
        return float(-(weights @ np.log(mass + 1e-16)))

    return float(minimise(cost, (ALPHA, BETA), [np.array([0.35, 3.5]), np.array([1.0, 30.0])])[0])


METHODS: dict[str, Callable[[Counts], float]] = {
    "line": by_line,
    "beta": by_beta,
    "scaled_beta": by_scaled_beta,
    "bins": by_bins,
}


def exponent(counts: Counts, method: str = "scaled_beta", *, resamples: int = 100, seed: int = 0) -> Exponent:
    """The exponent by one of `METHODS`. Raises UnknownName, and BadInput where the counts can't say."""
    if method not in METHODS:
        raise UnknownName("way to estimate an exponent", method, METHODS)
    value, rng = METHODS[method](counts), np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        try:
            draws.append(METHODS[method](counts.resampled(rng)))
        except BadInput:
            continue
    return Exponent(method, band(value, np.array(draws)), verdict(counts, seed=seed))


def local_exponents(counts: Counts, points: int = 41) -> tuple[Floats, Floats]:
    """(samples, exponent between a tenth of that many and that many), where coverage is neither 0 nor 1 at both."""
    k, y = counts.curve(points)
    with np.errstate(divide="ignore"):
        curve = np.log(-np.log(y))
    far = k >= 10
    before = np.interp(np.log(k[far] / 10), np.log(k), curve)
    with np.errstate(invalid="ignore"):
        found = (before - curve[far]) / np.log(10)
    return k[far], found


def verdict(counts: Counts, *, resamples: int = 200, seed: int = 0) -> str:
    """Whether the exponent of the last decade of samples is that of the decade before.

    "faster": it grows by over 0.1 beyond doubt, as where no problem is nearly impossible; "slower": it shrinks so;
    "undecided": the interval is wider than 0.5, or there are fewer than 100 samples; else "power law".
    """
    if counts.stopped or counts.largest < 100:
        return "undecided"
    rng, found = np.random.default_rng(seed), []
    for _ in range(resamples):
        k, local = local_exponents(counts.resampled(rng))
        found.append(local[-1] - np.interp(np.log(k[-1] / 10), np.log(k), local))
    changes = np.nan_to_num(np.array(found), nan=np.inf, posinf=np.inf)
    low, high = np.quantile(changes, [0.025, 0.975], method="inverted_cdf")
    if low > 0.1:
        return "faster"
    if high < -0.1:
        return "slower"
    return "undecided" if high - low > 0.5 else "power law"
