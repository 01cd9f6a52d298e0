"""Best, worst and submissions of k of n against all subsets."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import pass_at_k
from outthink.evaluation.subsets import best_of, submitted_by_score, submitted_by_votes, worst_of


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8), st.data())
def test_best_and_worst_are_means_over_subsets(values: list[int], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(values)))
    drawn = list(itertools.combinations(values, k))
    assert best_of(values, k) == pytest.approx(statistics.fmean(map(max, drawn)))
    assert worst_of(values, k) == pytest.approx(statistics.fmean(map(min, drawn)))


def test_many_samples_stay_exact() -> None:
    assert best_of([1] * 10_000, 5000) == pytest.approx(1)
    assert best_of([0] * 9990 + [1] * 10, 700) == pytest.approx(float(pass_at_k(10_000, 10, 700)))


Rows = list[tuple[float, bool]]
score = st.one_of(st.just(math.nan), st.integers(0, 2).map(float))


@given(st.lists(st.tuples(score, st.booleans()), min_size=1, max_size=5), st.data())
def test_submissions_by_score_are_means_over_subsets_and_orders_of_the_tied(
    rows: list[tuple[float, bool]], data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(rows)))
    k = data.draw(st.integers(1, n))

    def credit(order: tuple[int, ...]) -> bool:
        able = [rows[i] for i in order if not math.isnan(rows[i][0])]  # the order decides between the tied: sorting is stable
        return any(right for _, right in sorted(able, key=lambda each: -each[0])[:k])

    plain = statistics.fmean(credit(order) for order in itertools.permutations(range(len(rows)), n))
    assert submitted_by_score([s for s, _ in rows], [r for _, r in rows], n, k) == pytest.approx(plain)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=5), st.integers(1, 6))
def test_submissions_by_votes_are_means_over_orders_of_the_tied(classes: list[tuple[int, bool]], k: int) -> None:
    orders = list(itertools.permutations([each for each in classes if each[0]]))
    plain = statistics.fmean(any(right for _, right in sorted(order, key=lambda each: -each[0])[:k]) for order in orders)
    assert submitted_by_votes([c for c, _ in classes], [r for _, r in classes], k) == pytest.approx(plain)


def test_as_many_submissions_as_samples_are_coverage() -> None:
    right = [False, True, False, False, True, False]
    for n in range(1, 7):
        found = submitted_by_score([5.0, 1.0, 4.0, 3.0, 1.0, 2.0], right, n, n)
        assert found == pytest.approx(float(pass_at_k(6, 2, n)))
    assert submitted_by_score([0.9, 0.8, 0.1], [False, True, True], 3, 1) == 0.0


@pytest.mark.parametrize(
    "wrong",
    [lambda: best_of([1, 2, 3], 4), lambda: submitted_by_score([1.0], [True], 1, 2), lambda: submitted_by_votes([1], [True], 0)],
)
def test_what_can_not_be_counted_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(BadInput):
        wrong()
