"""Sampling until so many pass: unbiased rates and coverage, by exact sums over everything that could have been drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.laws.pass_until import pass_at_k, pooled, rate
from outthink.parts.pass_until import PassUntil


def endings(rule: PassUntil, p: float) -> Iterator[tuple[int, int, float]]:
    """(draws, passes, probability) of every way to end."""
    r, cap = rule.passes, rule.cap
    for draws in range(r, cap + 1):
        yield draws, r, math.comb(draws - 1, r - 1) * p**r * (1 - p) ** (draws - r)
    for passed in range(r):
        yield cap, passed, math.comb(cap, passed) * p**passed * (1 - p) ** (cap - passed)


@given(st.integers(1, 4), st.integers(4, 12), st.floats(0.02, 0.98))
def test_coverage_is_unbiased_under_the_rule(passes: int, cap: int, p: float) -> None:
    rule = PassUntil(passes, cap)
    assert sum(chance for _, _, chance in endings(rule, p)) == pytest.approx(1.0)
    for k in range(1, cap + 1):
        mean = sum(chance * pass_at_k(draws, passed, rule, k) for draws, passed, chance in endings(rule, p))
        assert mean == pytest.approx(1 - (1 - p) ** k, abs=1e-9)


@pytest.mark.parametrize("passes", [2, 5])
def test_rate_and_variance_are_unbiased_without_a_cap(passes: int) -> None:
    p, rule = 0.2, PassUntil(passes, 400)  # beyond 400 draws there is no probability left
    found = [(rate(draws, passed, rule), chance) for draws, passed, chance in endings(rule, p) if passed == passes and draws > 2]
    mean = sum(chance * each.value for each, chance in found) + (p**passes if passes == 2 else 0.0)  # two of two: a rate of 1
    assert mean == pytest.approx(p, abs=1e-9)
    if passes > 2:
        variance = sum(chance * (each.value - p) ** 2 for each, chance in found)
        assert sum(chance * (each.variance or 0.0) for each, chance in found) == pytest.approx(variance, rel=1e-6)


@pytest.mark.parametrize("p", [0.03, 0.3])
def test_exact_intervals_hold_at_least_95_percent(p: float) -> None:
    rule = PassUntil(3, 600)
    inside = sum(chance for draws, passed, chance in endings(rule, p) if (r := rate(draws, passed, rule)).low <= p <= r.high)
    assert inside >= 0.95 - 1e-9


def test_the_share_of_passes_is_biased_as_the_source_does_not_say() -> None:
    """E[1 / K] = p ln(1 / p) / (1 - p): four times too large at p = .02, where ours is right."""
    draws = np.random.default_rng(0).geometric(0.02, 200_000)
    assert float(np.mean(1 / draws)) / 0.02 == pytest.approx(3.99, abs=0.05)
    many = np.random.default_rng(1).geometric(0.02, (100_000, 5)).sum(axis=1)
    assert float(np.mean(5 / many)) / 0.02 == pytest.approx(1.24, abs=0.01)
    assert float(np.mean(4 / (many - 1))) / 0.02 == pytest.approx(1.0, abs=0.01)
    assert float(np.std(4 / (many - 1))) / 0.02 == pytest.approx(0.567, abs=0.01)


def test_pooling_handles_caps() -> None:
    rng = np.random.default_rng(2)
    draws = rng.geometric(1e-3, 20_000)
    found = pooled(np.minimum(draws, 500), draws <= 500)
    assert found.low < 1e-3 < found.high
    assert found.value == pytest.approx(1e-3, rel=0.03)


@given(st.integers(1, 6), st.integers(1, 40), st.data())
def test_the_rule_never_draws_one_too_many(passes: int, more: int, data: st.DataObject) -> None:
    rule, drawn, passed = PassUntil(passes, passes + more), 0, 0
    while wanted := rule.wanted(drawn, passed):
        outcomes = data.draw(st.lists(st.booleans(), min_size=wanted, max_size=wanted))
        drawn, passed = drawn + wanted, passed + sum(outcomes)
    assert passed <= passes
    assert drawn <= rule.cap
    assert passed == passes or drawn == rule.cap


def test_nothing_seen_is_an_upper_limit() -> None:
    found = rate(1000, 0, PassUntil(5, 1000))
    assert (found.value, found.low, found.censored) == (0.0, 0.0, True)
    assert found.high == pytest.approx(1 - 0.05 ** (1 / 1000))


def test_what_the_rule_can_not_end_with_is_refused() -> None:
    rule = PassUntil(2, 10)
    for draws, passed in ((5, 1), (11, 2), (1, 2), (10, 3), (10, -1)):
        with pytest.raises(BadInput, match="no end of waiting"):
            rate(draws, passed, rule)
    with pytest.raises(BadInput, match="wait for two"):
        rate(4, 1, PassUntil(1, 10))
    with pytest.raises(BadInput, match="1 to the cap"):
        pass_at_k(4, 2, rule, 11)
    with pytest.raises(BadInput, match="waited for"):
        PassUntil(0, 10)
    with pytest.raises(BadInput, match="two problems"):
        pooled([3], [1])
