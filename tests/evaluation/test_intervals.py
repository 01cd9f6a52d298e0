"""Intervals that cover what they promise, never vanish, and pair what belongs together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.evaluation.intervals import accuracy, difference, wilson


def test_wilson_worked_numbers() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert wilson(5, 10) == pytest.approx((0.23659, 0.76341), abs=1e-5)


@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_an_interval_holds_its_estimate_and_is_never_empty(problems: int, replicates: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    credit = rng.integers(0, 2, (problems, replicates))
    found = accuracy(credit)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high
    other = difference(credit, rng.integers(0, 2, (problems, 3)))
    assert -1 <= other.low <= other.value <= other.high <= 1
    assert other.low < other.high


@pytest.mark.parametrize("replicates", [1, 4])
def test_accuracy_covers_the_truth_about_as_often_as_it_says(replicates: int) -> None:
    """Problems with chances from Beta(1, 1.5), mean 0.4; 400 repetitions with 30 problems each."""
    rng = np.random.default_rng(0)
    covered = 0
    for repetition in range(400):
        chance = rng.beta(1.0, 1.5, 30)
        found = accuracy(rng.random((30, replicates)) < chance[:, None], seed=repetition)
        covered += found.low <= 0.4 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_a_paired_difference_is_tighter_than_two_accuracies() -> None:
    rng = np.random.default_rng(1)
    hard = rng.beta(0.3, 0.3, 60)
    first, second = rng.random((60, 16)) < np.minimum(hard + 0.1, 1)[:, None], rng.random((60, 16)) < hard[:, None]
    paired, alone = difference(first, second), accuracy(first)
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)
    assert paired.low > 0


def test_no_difference_at_all_still_leaves_something_open() -> None:
    same = difference([1, 0, 1, 1], [1, 0, 1, 1])
    assert (same.value, same.low, same.high) == (0.0, -same.high, same.high)
    assert same.high > 0.4
    assert difference(np.ones(400), np.ones(400)).high < 0.01


def test_resampling_replicates_too_only_widens() -> None:
    rng = np.random.default_rng(2)
    credit = rng.random((40, 6)) < rng.random((40, 1))
    once, both = accuracy(credit), accuracy(credit, both=True)
    assert both.high - both.low > once.high - once.low
    assert accuracy(credit) == once, "the same numbers give the same interval"


@pytest.mark.parametrize("credit", [[], [[]], [0.5, float("nan")], [1.5], np.zeros((2, 2, 2))])
def test_what_is_no_credit_is_refused(credit: object) -> None:
    with pytest.raises(BadInput):
        accuracy(credit)


def test_unequal_problems_can_not_be_paired() -> None:
    with pytest.raises(BadInput, match="paired"):
        difference([1, 0], [1, 0, 1])
