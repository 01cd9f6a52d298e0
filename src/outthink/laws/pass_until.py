"""What samples drawn until so many pass say about a success rate, however small. When to stop is `parts.pass_until`'s.

passes / draws is biased upward under this rule, by a factor ln(1 / p) where one pass is waited for; what stands here is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv

from outthink.core.errors import BadInput
from outthink.evaluation.intervals import Interval, Z
from outthink.parts.pass_until import PassUntil


@dataclass(frozen=True, slots=True)
class Rate:
    """An estimated success rate: its variance (None where one pass allows none), its exact 95% interval.

    censored: the cap was reached before the passes, so that the estimate is the plain share; with no pass at all the upper
              end is the 95% limit, 1 - 0.05^(1 / draws)
    """

    value: float
    variance: float | None
    low: float
    high: float
    censored: bool


def rate(draws: int, passed: int, rule: PassUntil) -> Rate:
    """The rate from one problem's counts: (r - 1) / (K - 1), the unbiased one of least variance, where r passes took K draws.

    Its variance p (1 - p) / (K - 2) is unbiased too. Raises BadInput for counts that the rule can't end with, and where it
    waited for a single pass.
    """
    _check(draws, passed, rule)
    if passed < rule.passes:
        share = passed / draws
        low = 0.0 if passed == 0 else float(betaincinv(passed, draws - passed + 1, 0.025))
        high = 1 - 0.05 ** (1 / draws) if passed == 0 else float(betaincinv(passed + 1, draws - passed, 0.975))
        return Rate(share, share * (1 - share) / draws, low, high, True)
    if passed < 2:
        raise BadInput("one pass allows no unbiased estimate; wait for two or more", where="pass until")
    value = (passed - 1) / (draws - 1)
    low = float(betaincinv(passed, draws - passed + 1, 0.025))
    high = 1.0 if draws == passed else float(betaincinv(passed, draws - passed, 0.975))
    return Rate(value, value * (1 - value) / (draws - 2) if draws > 2 else None, low, high, False)


def pass_at_k(draws: int, passed: int, rule: PassUntil, k: int) -> float:
    """Chance that k samples hold a right one, unbiased under the rule. Raises BadInput for k above what it can tell.

    Stopped at the r-th pass: 1 - C(K-1-k, r-1) / C(K-1, r-1). At the cap: 1 - C(M-k, s) / C(M, s). The usual formula with
    n = K and c = r is wrong here.
    """
    _check(draws, passed, rule)
    if not 1 <= k <= rule.cap:
        raise BadInput(f"k is {k} and must be 1 to the cap of {rule.cap}", where="pass until")
    if passed < rule.passes:
        return 1 - _ratio(draws, passed, k)
    if rule.passes < 2 and k > 1:
        return 1.0 if draws <= k else 0.0  # still unbiased: whether the first pass came within k draws
    return 1 - _ratio(draws - 1, passed - 1, k)


def pooled(draws: ArrayLike, passed: ArrayLike) -> Interval:
    """All passes over all draws of a group of problems, with its 95% interval over problems: a mean weighted by draws.

    Nearly unbiased even with caps and single passes, where the problems' rates are alike. Raises BadInput for under two.
    """
    k, s = np.asarray(draws, dtype=np.float64), np.asarray(passed, dtype=np.float64)
    if k.ndim != 1 or k.shape != s.shape or len(k) < 2 or np.any((k < 1) | (s < 0) | (s > k)):
        raise BadInput("needs draws, and passes among them, of two problems or more", where="pass until")
    share = float(s.sum() / k.sum())
    left = s - share * k
    half = Z * math.sqrt(float(left @ left) * len(k) / (len(k) - 1)) / float(k.sum())
    return Interval(share, max(0.0, share - half), min(1.0, share + half))


def _ratio(n: int, c: int, k: int) -> float:
    """C(n-k, c) / C(n, c)."""
    if n - k < c:
        return 0.0
    return math.exp(sum(math.log1p(-k / (n - at)) for at in range(c))) if c else 1.0


def _check(draws: int, passed: int, rule: PassUntil) -> None:
    ended = 0 <= passed <= draws and (
        (passed == rule.passes and draws <= rule.cap) or (draws == rule.cap and passed < rule.passes)
    )
    if not ended:
        raise BadInput(
            f"{passed} passes in {draws} draws is no end of waiting for {rule.passes} passes in at most {rule.cap}",
            where="pass until",
        )
