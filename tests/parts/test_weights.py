"""Weights: worked numbers from the papers, limits, and invariances."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.parts import weights

scores = st.lists(st.one_of(st.none(), st.floats(-100, 100, allow_subnormal=False)), max_size=10)


def test_worked_numbers() -> None:
    best_first = [4.0, 3.0, 2.0, 1.0]
    assert weights.borda(best_first, 0.5) == pytest.approx([2, 1.7321, 1.4142, 1], abs=1e-4)
    assert weights.majority_of_the_bests(best_first, 1) == [0.25] * 4
    assert weights.majority_of_the_bests(best_first, 2) == [0.4375, 0.3125, 0.1875, 0.0625]
    assert weights.majority_of_the_bests(best_first) == weights.majority_of_the_bests(best_first, 2)
    assert weights.majority_of_the_bests(best_first, 4) == pytest.approx([0.6836, 0.2539, 0.0586, 0.0039], abs=1e-4)
    assert weights.filtered(best_first, 0.3) == [1, 1, 0, 0]
    assert weights.softmax([0.0, math.log(3)]) == pytest.approx([0.25, 0.75])
    assert weights.minmax([-3.0, None, 1.0, -1.0]) == [0, None, 1, 0.5]
    assert weights.averaged([1.0, 2.0, 6.0, None], ["a", "b", "b", "b"]) == [1, 1, 3, None]


def test_ties_share_the_weights_of_their_ranks() -> None:
    assert weights.borda([1.0, 1.0, 0.0], 1) == [2.5, 2.5, 1]
    assert weights.filtered([1.0, 1.0, 0.0], 0.2) == [0.5, 0.5, 0]


@given(scores)
def test_limits(given: list[float | None]) -> None:
    heard = [score for score in given if score is not None]
    assert [weight for weight in weights.borda(given, 0) if weight is not None] == [1.0] * len(heard)
    everyone = [weight for weight in weights.majority_of_the_bests(given, 1) if weight is not None]
    assert everyone == pytest.approx([1 / len(heard)] * len(heard) if heard else [])
    for rule in (weights.softmax, weights.majority_of_the_bests):
        total = math.fsum(weight for weight in rule(given) if weight is not None)
        assert total == pytest.approx(1.0 if heard else 0.0)
    for rule in (weights.borda, weights.filtered, weights.softmax, weights.minmax):
        found = rule(given)
        assert [weight is None for weight in found] == [score is None for score in given]
        order = sorted((at for at, score in enumerate(given) if score is not None), key=lambda at: given[at] or 0.0)
        ordered = [found[at] for at in order]
        assert ordered == sorted(ordered, key=lambda weight: weight or 0.0)  # a better score never weighs less
        assert all(weight is None or (math.isfinite(weight) and weight >= 0) for weight in found)


@given(st.lists(st.integers(-50, 50), max_size=10))
def test_ranks_do_not_change_under_monotone_maps(given: list[int]) -> None:
    for rule in (weights.borda, weights.majority_of_the_bests, weights.filtered):
        assert rule([float(score) for score in given]) == rule([score**3 + 7.0 for score in given])


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=10))
def test_minmax_does_not_change_under_scaling_and_shifting(given: list[int]) -> None:
    assert weights.minmax([float(score) for score in given]) == pytest.approx(
        weights.minmax([4.0 * score - 9 for score in given])
    )


def test_huge_scores_do_not_overflow() -> None:
    assert weights.minmax([-1.7e308, 1.7e308]) == [0, 1]
    assert weights.softmax([-1e308, 1e308]) == [0, 1]
    assert all(map(math.isfinite, [weight or 0.0 for weight in weights.borda([float(at) for at in range(2000)], 64)]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: weights.borda([1.0], -0.1),
        lambda: weights.borda([1.0], math.nan),
        lambda: weights.borda([1.0], 65),
        lambda: weights.majority_of_the_bests([1.0], 0),
        lambda: weights.filtered([1.0], 0),
        lambda: weights.softmax([1.0], 0),
    ],
)
def test_parameters_out_of_range_are_refused(call: object) -> None:
    with pytest.raises(BadInput, match="must be"):
        call()  # type: ignore[operator]
