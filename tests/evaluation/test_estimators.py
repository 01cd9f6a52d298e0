"""Every estimator against the plainest oracle: all subsets, one by one."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import best_at_k, majority_at_k, pass_at_k


def subsets(n: int, k: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations(range(n), k))


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(right: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(right)))
    plain = statistics.fmean(any(right[i] for i in subset) for subset in subsets(len(right), k))
    assert float(pass_at_k(len(right), sum(right), k)) == pytest.approx(plain)


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"), [(5, 2, 2, 0.7), (10, 3, 5, 0.916667), (100, 1, 10, 0.1), (10_000, 1, 10_000, 1)]
)
def test_pass_at_k_worked_numbers(n: int, c: int, k: int, expected: float) -> None:
    assert float(pass_at_k(n, c, k)) == pytest.approx(expected, abs=1e-6)


def test_pass_at_k_takes_arrays_and_never_falls() -> None:
    curves = [pass_at_k([20, 30], [3, 0], k) for k in range(1, 21)]
    assert all(later[0] >= sooner[0] for sooner, later in itertools.pairwise(curves))
    assert {float(curve[1]) for curve in curves} == {0.0}


@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=8), st.sets(st.integers(0, 3)), st.data())
def test_majority_is_the_mean_of_fractional_votes_over_subsets(
    answers: list[int | None], right: set[int], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(answers)))

    def credit(drawn: tuple[int, ...]) -> float:
        votes = [answers[i] for i in drawn if answers[i] is not None]
        most = max((votes.count(answer) for answer in votes), default=0)
        tied = {answer for answer in votes if votes.count(answer) == most}
        return len(tied & right) / len(tied) if tied else 0.0

    classes = sorted({answer for answer in answers if answer is not None})
    counts = [answers.count(answer) for answer in classes]
    found = majority_at_k(counts, [answer in right for answer in classes], k, invalid=answers.count(None))
    assert found == pytest.approx(statistics.fmean(credit(subset) for subset in subsets(len(answers), k)))


def test_majority_of_many_samples_stays_exact() -> None:
    assert majority_at_k([600, 400], [True, False], 1000) == 1.0
    assert majority_at_k([600, 400], [True, False], 1) == pytest.approx(0.6)
    assert majority_at_k([500, 500], [True, False], 501) == pytest.approx(0.5)  # by symmetry, ties and all
    assert majority_at_k([], [], 3, invalid=5) == 0.0


@given(st.lists(st.tuples(st.one_of(st.just(math.nan), st.integers(0, 3)), st.booleans()), min_size=1, max_size=8), st.data())
def test_best_of_k_is_the_mean_over_subsets(samples: list[tuple[float, bool]], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(samples)))
    # A tie gives the mean of the whole block of equal scores: of those drawn it is the same in expectation over subsets.

    def credit(drawn: tuple[int, ...]) -> float:
        chosen = [samples[i] for i in drawn if not math.isnan(samples[i][0])]
        best = [right for score, right in chosen if score == max(score for score, _ in chosen)]
        return statistics.fmean(best) if best else 0.0

    found = best_at_k([score for score, _ in samples], [right for _, right in samples], k)
    assert found == pytest.approx(statistics.fmean(credit(subset) for subset in subsets(len(samples), k)))


@pytest.mark.parametrize(("k", "expected"), [(1, 0.4), (2, 0.4), (3, 0.3), (5, 0.0)])
def test_best_of_k_worked_numbers(k: int, expected: float) -> None:
    assert best_at_k([1, 2, 3, 4, 5], [0, 1, 0, 1, 0], k) == pytest.approx(expected)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: pass_at_k(3, 1, 4),
        lambda: pass_at_k(3, 4, 1),
        lambda: majority_at_k([1], [True], 2),
        lambda: majority_at_k([1001], [True], 2),
        lambda: best_at_k([1.0], [1.0, 0.0], 1),
    ],
)
def test_what_can_not_be_estimated_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(BadInput):
        wrong()
