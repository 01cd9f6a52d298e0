"""Where one more sample is no longer worth it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput, PredictionRefused
from outthink.laws.fit import fit
from outthink.laws.saturation import saturation, saturation_point
from tests.laws.worlds import beta_counts, curve_of


@pytest.mark.parametrize(
    ("p", "ceiling", "gain", "n"), [(0.3, 1, 0.01, 10), (0.3, 0.8, 0.01, 9), (0.1, 0.9, 0.005, 28), (0.02, 1, 0.001, 149)]
)
def test_worked_numbers(p: float, ceiling: float, gain: float, n: int) -> None:
    assert saturation_point(p, ceiling, gain) == n


@given(st.floats(1e-3, 1.0), st.floats(0.05, 1.0), st.floats(1e-5, 0.5))
def test_the_point_is_the_first_whose_gain_is_small_enough(p: float, ceiling: float, gain: float) -> None:
    n = saturation_point(p, ceiling, gain)
    assert ceiling * p * (1 - p) ** n <= gain
    assert n == 0 or ceiling * p * (1 - p) ** (n - 1) > gain


def slow(alpha: float, beta: float, gain: float) -> int:
    """Draw after draw: one more gives the chance that it is the first that is right."""
    n, missed = 0, 1.0
    while missed * alpha / (alpha + beta + n) > gain:
        missed *= (beta + n) / (alpha + beta + n)
        n += 1
    return n


@pytest.mark.parametrize("gain", [0.01, 0.001, 0.0005])
def test_a_beta_binomials_point_is_the_slow_one(gain: float) -> None:
    law = fit(beta_counts(0.4, 6.0), "beta_binomial", resamples=20)
    found = saturation(law, gain)
    assert found.value == slow(*law.values, gain)
    assert found.low <= found.value <= found.high


def test_one_hardness_for_all_underestimates_the_point() -> None:
    counts = beta_counts(0.3, 3.0, problems=300, n=200)
    plain, mixed = (
        saturation(fit(counts.upto(32, np.random.default_rng(0)), name, resamples=10), 5e-4)
        for name in ("parallel_saturation", "beta_binomial")
    )
    assert plain.value < 0.7 * slow(0.3, 3.0, 5e-4)
    assert mixed.value == pytest.approx(slow(0.3, 3.0, 5e-4), rel=0.15)


def test_refusals() -> None:
    law = fit(beta_counts(0.4, 6.0, n=40), "beta_binomial", resamples=5)
    with pytest.raises(PredictionRefused, match="as far as this law goes"):
        saturation(law, 1e-7)
    with pytest.raises(BadInput, match="above 0"):
        saturation(law, 0.0)
    with pytest.raises(BadInput, match="above 0"):
        saturation_point(0.0, 1.0, 0.1)
    tokens = curve_of("parallel_saturation", (0.8, 0.05))
    object.__setattr__(tokens, "unit", "tokens")
    with pytest.raises(BadInput, match="no next one"):
        saturation(fit(tokens, "parallel_saturation", resamples=2), 0.01)
