"""Beliefs about how well a kind of choice scores, to draw from (Thompson sampling): they take scores in and give draws.

Which choices there are is a search's: `outthink.parts.adaptive_branching`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

from outthink.core.errors import BadInput
from outthink.core.key import Chance


class Belief(Protocol):
    """What is believed of one choice."""

    def after(self, score: float) -> Self:
        """The belief after one more score."""
        ...

    def draw(self, chance: Chance) -> float:
        """A draw of the mean score."""
        ...


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Scores are normal with unknown mean and variance: the normal-inverse-chi-square prior of AB-MCTS (arXiv:2503.04412)."""

    mean: float = 0.0
    kappa: float = 1.0
    nu: float = 1.0
    variance: float = 0.1

    def after(self, score: float) -> Gaussian:
        """One score; the order of scores doesn't matter."""
        kappa, nu = self.kappa + 1, self.nu + 1
        mean = (self.kappa * self.mean + score) / kappa
        spread = self.nu * self.variance + self.kappa * (score - self.mean) ** 2 / kappa
        return Gaussian(mean, kappa, nu, spread / nu)

    def draw(self, chance: Chance) -> float:
        """sigma^2 from its inverse gamma, then the mean."""
        variance = self.nu * self.variance / 2 / max(chance.gammavariate(self.nu / 2, 1.0), 1e-300)
        return chance.gauss(self.mean, math.sqrt(variance / self.kappa))


@dataclass(frozen=True, slots=True)
class Beta:
    """Scores in [0, 1] as partial successes; starts at (1/2, 1/2)."""

    good: float = 0.5
    bad: float = 0.5

    def after(self, score: float) -> Beta:
        """Raises BadInput for a score outside [0, 1], which would break the belief."""
        if not 0 <= score <= 1:
            raise BadInput(
                f"a score of {score!r} is not in [0, 1], as a beta belief needs; use prior='gaussian'", where="verifier"
            )
        return replace(self, good=self.good + score, bad=self.bad + 1 - score)

    def draw(self, chance: Chance) -> float:
        """A mean in [0, 1]."""
        return chance.betavariate(self.good, self.bad)


BELIEFS: Mapping[str, Callable[[], Belief]] = {"gaussian": Gaussian, "beta": Beta}

_CELLS = 16
"""Grid points per standard deviation, at the middle of equal shares of its prior: the rest is exact."""


def mixed(groups: Sequence[Sequence[float]], chance: Chance) -> tuple[list[float], float]:
    """One posterior-predictive draw of the next score of each group, and of a group never seen (AB-MCTS-M, arXiv:2503.04412).

    score = a_j + sigma_y e, a_j = mu + sigma_a e_j; mu ~ N(0.5, 0.2), sigma_a ~ |N(0, 0.2)|, sigma_y ~ |N(0, 0.3)|. The paper
    samples this posterior by NUTS; here both deviations are drawn from a grid, with everything else integrated in closed form.
    """
    stats = [(len(group), math.fsum(group) / len(group)) for group in groups if group]
    count = sum(n for n, _ in stats)
    within = math.fsum((score - math.fsum(group) / len(group)) ** 2 for group in groups for score in group)
    cells = [(a, y) for a in _half_normal(0.2) for y in _half_normal(0.3)]
    logs = [_evidence(stats, count, within, a, y) for a, y in cells]
    top = max(logs)
    sigma_a, sigma_y = chance.choices(cells, [math.exp(log - top) for log in logs])[0]
    precision, weighted = _mu(stats, sigma_a, sigma_y)
    mu = chance.gauss(weighted / precision, precision**-0.5)

    def next_of(group: Sequence[float]) -> float:
        sure = sigma_a**-2 + len(group) * sigma_y**-2
        centre = (mu * sigma_a**-2 + math.fsum(group) * sigma_y**-2) / sure
        return chance.gauss(chance.gauss(centre, sure**-0.5), sigma_y)

    return [next_of(group) for group in groups], next_of(())


def _half_normal(scale: float) -> list[float]:
    from statistics import NormalDist

    return [scale * NormalDist().inv_cdf(0.5 + (at + 0.5) / _CELLS / 2) for at in range(_CELLS)]


def _mu(stats: Sequence[tuple[int, float]], sigma_a: float, sigma_y: float) -> tuple[float, float]:
    """Posterior precision of mu, and precision times mean."""
    sure = [n / (sigma_y**2 + n * sigma_a**2) for n, _ in stats]
    return 25.0 + math.fsum(sure), 12.5 + math.fsum(each * mean for each, (_, mean) in zip(sure, stats, strict=True))


def _evidence(stats: Sequence[tuple[int, float]], count: int, within: float, sigma_a: float, sigma_y: float) -> float:
    """Log marginal likelihood of the scores given both deviations."""
    precision, weighted = _mu(stats, sigma_a, sigma_y)
    total = -(count - len(stats)) * math.log(sigma_y) - within / (2 * sigma_y**2)
    for n, mean in stats:
        variance = sigma_y**2 + n * sigma_a**2
        total -= 0.5 * math.log(variance) + n * mean**2 / (2 * variance)
    return total - 0.5 * math.log(precision) + weighted**2 / (2 * precision)
