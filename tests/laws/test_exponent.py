"""The exponent from few samples, and whether there is a power law."""

from __future__ import annotations

import math

import numpy as np
import pytest

from outthink.core.errors import BadInput, UnknownName
from outthink.laws.data import Counts
from outthink.laws.exponent import METHODS, exponent, local_exponents, verdict
from outthink.laws.forms.beta_binomial import BetaBinomial
from tests.laws.worlds import beta_counts


@pytest.mark.parametrize(("method", "most"), [("beta", 0.2), ("scaled_beta", 0.2), ("bins", 0.2)])
def test_the_tail_gives_the_exponent_where_the_line_does_not(method: str, most: float) -> None:
    found = {
        name: float(np.mean([abs(METHODS[name](beta_counts(0.15, 3.5, n=100, seed=seed)) / 0.15 - 1) for seed in range(8)]))
        for name in (method, "line")
    }
    assert found[method] < most < 0.5 < found["line"]


def test_only_a_scale_helps_where_every_problem_is_hard() -> None:
    errors = {
        method: np.mean([abs(METHODS[method](beta_counts(0.4, 3.5, n=1000, scale=0.1, seed=s)) / 0.4 - 1) for s in range(6)])
        for method in ("beta", "scaled_beta")
    }
    assert errors["scaled_beta"] < errors["beta"]


def test_the_asymptote_and_the_local_exponents_of_a_beta() -> None:
    """-log coverage of Beta(.3, 8) and its limit Γ(.3) / B(.3, 8) k^-.3; the slope below k = 100 overstates the exponent."""
    k = np.array([1.0, 10, 100, 1000, 10_000])
    found = -np.log(BetaBinomial().value(np.array([0.3, 8.0]), k))
    assert found[1:] == pytest.approx([1.5064, 0.60232, 0.26306, 0.12349], rel=1e-4)
    amount = math.gamma(0.3) * math.gamma(8.3) / (math.gamma(0.3) * math.gamma(8.0))
    assert amount * k[1:] ** -0.3 == pytest.approx([0.92296, 0.46258, 0.23184, 0.11619], rel=1e-4)
    assert -np.diff(np.log10(found)) == pytest.approx([0.343, 0.398, 0.360, 0.328], abs=6e-4)


def test_a_verdict_on_the_power_law_itself() -> None:
    assert verdict(beta_counts(0.3, 8.0, problems=400, n=2000)) == "power law"
    rng = np.random.default_rng(0)
    assert verdict(Counts.of(2000, rng.binomial(2000, np.full(100, 0.01)))) == "faster"
    assert verdict(beta_counts(0.3, 8.0, n=50)) == "undecided"
    k, local = local_exponents(Counts.of(2000, rng.binomial(2000, np.full(100, 0.01))))
    assert local[0] < local[-1]
    assert k[0] >= 10


def test_an_exponent_has_an_interval() -> None:
    found = exponent(beta_counts(0.3, 8.0, n=100), "beta", resamples=40)
    assert found.value.low < 0.3 < found.value.high
    assert 0.2 < found.value.value < 0.4
    assert found.verdict in ("power law", "undecided")


def test_refusals() -> None:
    with pytest.raises(UnknownName, match="scaled_beta"):
        exponent(beta_counts(0.3, 8.0), "scaledbeta")
    with pytest.raises(BadInput, match="as many samples"):
        exponent(Counts.of([10, 20], [1, 2]), "bins")
    with pytest.raises(BadInput, match="nothing to fit"):
        exponent(Counts.of(10, [0, 0]), "bins")
