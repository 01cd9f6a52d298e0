"""A mixture of two Weibull distributions, fitted by maximum likelihood: what RPC tells sure samples from unsure ones by.

Only the fit lives here; what follows from it is `outthink.parts.pruning`'s. In plain Python, because strategies run without
numpy. From the same start SciPy's bounded quasi-Newton method nearly always finds the same optimum; the likelihood has several,
and of a few values each method now and then stops at another one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_START = (0.5, 1.0, 1.0, 1.5, 2.0)  # of the official code: share, shape and scale of one, shape and scale of the other
_SHARE = 0.2, 0.8  # its bounds of the share
_LEAST = 0.01  # its bound of shapes and scales
_SHARPEST = 1e4  # ours: a component that closes in on a single point has no greatest likelihood
_STEPS, _ENOUGH = 200, 1e-6

Vector = list[float]


@dataclass(frozen=True, slots=True)
class Mixture:
    """`share` of the mass in the component with the higher mean, the rest in the other; each is (shape, scale)."""

    share: float
    high: tuple[float, float]
    low: tuple[float, float]

    def is_high(self, value: float) -> bool:
        """Whether the higher component is at least as likely as the lower one to have given this value."""
        high = math.log(self.share) + _log_density(value, *self.high)[0]
        return high >= math.log1p(-self.share) + _log_density(value, *self.low)[0]


def mean(shape: float, scale: float) -> float:
    """Mean of a Weibull distribution."""
    return scale * math.gamma(1 + 1 / shape)


def fitted(values: Sequence[float]) -> Mixture | None:
    """The mixture most likely to have given these values, all above 0; None where there is no such thing (fewer than five
    values, or equal ones)."""
    if len(values) < 5 or min(values) == max(values) or min(values) <= 0:
        return None
    share, *rest = _parameters(_least(list(values), _free(_START)))
    first, second = (rest[0], rest[1]), (rest[2], rest[3])
    return Mixture(share, first, second) if mean(*first) >= mean(*second) else Mixture(1 - share, second, first)


def _log_density(x: float, shape: float, scale: float) -> tuple[float, float, float]:
    """Logarithm of the density, and the two terms its derivatives are made of: log(x / scale) and (x / scale)**shape."""
    ratio = math.log(x / scale)
    power = math.exp(min(shape * ratio, 700.0))
    return math.log(shape / scale) + (shape - 1) * ratio - power, ratio, power


def _free(parameters: Sequence[float]) -> Vector:
    """Parameters as numbers without bounds."""
    share = (parameters[0] - _SHARE[0]) / (_SHARE[1] - _SHARE[0])
    return [math.log(share / (1 - share)), *(math.log(each - _LEAST) for each in parameters[1:])]


def _parameters(free: Sequence[float]) -> Vector:
    share = 1 / (1 + math.exp(-max(min(free[0], 40.0), -40.0)))
    return [_SHARE[0] + (_SHARE[1] - _SHARE[0]) * share, *(_LEAST + math.exp(min(each, 40.0)) for each in free[1:])]


def _loss(values: Vector, free: Vector) -> tuple[float, Vector]:
    """Mean negative log-likelihood and its gradient by the free numbers."""
    share, k1, l1, k2, l2 = _parameters(free)
    if max(k1, k2) > _SHARPEST:
        return math.inf, []
    total, grow = 0.0, [0.0] * 5
    log_share, log_rest = math.log(share), math.log(1 - share)
    for x in values:
        one, ratio1, power1 = _log_density(x, k1, l1)
        two, ratio2, power2 = _log_density(x, k2, l2)
        one, two = one + log_share, two + log_rest
        top = max(one, two)
        log_p = top + math.log(math.exp(one - top) + math.exp(two - top))
        r1, r2 = math.exp(one - log_p), math.exp(two - log_p)
        total += log_p
        grow[0] += r1 / share - r2 / (1 - share)
        grow[1] += r1 * (1 / k1 + ratio1 * (1 - power1))
        grow[2] += r1 * k1 / l1 * (power1 - 1)
        grow[3] += r2 * (1 / k2 + ratio2 * (1 - power2))
        grow[4] += r2 * k2 / l2 * (power2 - 1)
    low, high = _SHARE
    chain = [(share - low) * (high - share) / (high - low), k1 - _LEAST, l1 - _LEAST, k2 - _LEAST, l2 - _LEAST]
    return -total / len(values), [-each * by / len(values) for each, by in zip(grow, chain, strict=True)]


def _least(values: Vector, start: Vector) -> Vector:
    """The free numbers at the nearest least loss: BFGS with a backtracking line search."""
    at, size = start, range(len(start))
    loss, slope = _loss(values, at)
    inverse = [[float(i == j) for j in size] for i in size]
    for _ in range(_STEPS):
        way = [-_dot(row, slope) for row in inverse]
        descent = _dot(way, slope)
        if descent > -1e-16 or max(map(abs, slope)) < _ENOUGH:
            break
        length = min(1.0, 2.0 / max(map(abs, way)))
        while True:
            new = [a + length * b for a, b in zip(at, way, strict=True)]
            new_loss, new_slope = _loss(values, new)
            if new_loss <= loss + 1e-4 * length * descent:
                break
            length /= 2
            if length < 1e-10:
                return at
        moved, turned = _minus(new, at), _minus(new_slope, slope)
        at, loss, slope = new, new_loss, new_slope
        if (curved := _dot(moved, turned)) > 1e-14:
            inverse = _updated(inverse, moved, turned, curved)
    return at


def _updated(inverse: list[Vector], moved: Vector, turned: Vector, curved: float) -> list[Vector]:
    """The BFGS update of the inverse Hessian."""
    through = [_dot(row, turned) for row in inverse]
    both = (1 + _dot(turned, through) / curved) / curved
    size = range(len(moved))
    return [
        [inverse[i][j] + both * moved[i] * moved[j] - (through[i] * moved[j] + moved[i] * through[j]) / curved for j in size]
        for i in size
    ]


def _dot(one: Vector, other: Vector) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def _minus(one: Vector, other: Vector) -> Vector:
    return [a - b for a, b in zip(one, other, strict=True)]
