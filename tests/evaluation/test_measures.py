"""Costs, calibration, ARISE and Eureka's protocols: the published worked numbers, and the plainest counts."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.evaluation.arise import arise, noise_bias, settled, shared_runs, wants_more
from outthink.evaluation.calibration import abstention, brier, expected_calibration_error
from outthink.evaluation.costs import accuracy_per, cost_of_pass, coverage_selection_gap, frontier_cost_of_pass
from outthink.evaluation.eureka import brackets, reasoning_gap, solved_within, token_nondeterminism
from outthink.evaluation.problem_samples import ProblemSamples

# --- costs ---------------------------------------------------------------------------------------------------------


def test_accuracy_per_spending_is_a_ratio_of_sums() -> None:
    found = accuracy_per([1, 0, 1, 1], [100, 300, 50, 50], unit=1000)
    assert found.value == pytest.approx(6.0)
    assert found.low < found.value < found.high
    rng, covered = np.random.default_rng(0), 0
    for repetition in range(80):
        spent = rng.exponential(1.0, 60)
        covered += (c := accuracy_per(rng.random(60) < 0.5, spent, seed=repetition)).low <= 0.5 <= c.high
    assert 0.86 <= covered / 80 <= 1


def test_cost_of_pass() -> None:
    assert cost_of_pass([0.5, 1.0, 0.0], [0.01, 0.02, 0.03]).tolist() == [0.02, 0.02, np.inf]
    least, without = frontier_cost_of_pass({"cheap": [1.0, np.inf], "strong": [3.0, 4.0], "weak": [5.0, 9.0]})
    assert least == 2.5
    assert without == {"cheap": 1.0, "strong": 2.5, "weak": 0.0}


def test_the_gap_between_coverage_and_selection_is_paired() -> None:
    found = coverage_selection_gap([1.0, 1.0, 0.5, 0.9] * 10, [0.9, 0.8, 0.5, 0.7] * 10)
    assert found.value == pytest.approx(0.125)
    assert 0 < found.low < found.high < 0.2


# --- calibration ---------------------------------------------------------------------------------------------------


def test_calibration_worked_numbers() -> None:
    assert brier([0.5, 0.5], [1, 0]) == 0.25
    assert brier([1, 0], [1, 0]) == 0
    # bins (0.7, 0.8] with accuracy 1/2 and (0.2, 0.3] with 0
    assert expected_calibration_error([0.75, 0.75, 0.25, 0.25], [1, 0, 0, 0]) == pytest.approx(0.25)
    assert expected_calibration_error([0.0, 1.0], [0, 1]) == 0
    rng = np.random.default_rng(0)
    said = rng.random(50_000)
    assert expected_calibration_error(said, rng.random(50_000) < said) < 0.02


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=5))
def test_the_area_of_abstention_is_the_mean_over_orders_of_the_tied(rows: list[tuple[int, bool]]) -> None:
    def area(order: tuple[tuple[int, bool], ...]) -> float:
        ranked = sorted(order, key=lambda each: -each[0])
        return statistics.fmean(statistics.fmean(not right for _, right in ranked[:k]) for k in range(1, len(ranked) + 1))

    found = abstention([c for c, _ in rows], [r for _, r in rows])
    assert found.area == pytest.approx(statistics.fmean(area(order) for order in itertools.permutations(rows)))
    assert found.coverage[-1] == 1
    assert found.risk[-1] == pytest.approx(statistics.fmean(not right for _, right in rows))


def test_abstention_answers_what_it_may() -> None:
    found = abstention([0.9, 0.8, 0.8, 0.3], [1, 1, 0, 0])
    assert found.coverage.tolist() == [0.25, 0.75, 1.0]
    assert found.risk.tolist() == pytest.approx([0, 1 / 3, 0.5])
    assert found.threshold.tolist() == [0.9, 0.8, 0.3]
    assert (found.coverage_at(0.4), found.coverage_at(0.1), abstention([1.0], [0]).coverage_at(0.5)) == (0.75, 0.25, 0.0)


# --- ARISE ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accuracy", "tokens", "expected"),
    [
        ([0, 1], [1000, 2000], 0.5),
        ([1, 0], [1000, 2000], -2),
        ([0, 1, 1], [1000, 2000, 9000], 0.5),
        ([0, 1, 0, 1], [1000, 2000, 4000, 8000], -1.0),
        ([0, 1], [1, 4], 0.25),
        ([0, 0, 1], [1, 2, 4], 0.5),
        ([1, 1, 1], [5, 50, 500], 0),
        ([1], [5], 0),
        ([0, 1, 0], [1, 0, 2], 0),
    ],
)
def test_arise_worked_numbers(accuracy: list[float], tokens: list[float], expected: float) -> None:
    assert arise([accuracy], [tokens]).tolist() == [pytest.approx(expected)]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 1000)), min_size=2, max_size=6), st.floats(0.1, 10))
def test_arise_laws(levels: list[tuple[float, float]], factor: float) -> None:
    accuracy, tokens = np.asarray([a for a, _ in levels]), np.asarray([t for _, t in levels])
    assert arise([accuracy], [tokens * factor]) == pytest.approx(arise([accuracy], [tokens]), abs=1e-9)
    assert arise([accuracy], [np.ones(len(levels))])[0] == pytest.approx(accuracy[-1] - accuracy[0], abs=1e-9)


def test_noise_alone_gives_a_negative_score() -> None:
    rng = np.random.default_rng(0)
    accuracy = rng.binomial(4, 0.5, (200, 4)) / 4
    tokens = np.tile([100.0, 200, 400, 800], (200, 1))
    assert arise(accuracy, tokens).mean() < -0.1
    assert noise_bias(accuracy, tokens, draws=50) == pytest.approx(arise(accuracy, tokens).mean(), abs=0.15)


def test_adaptive_sampling_of_cells() -> None:
    assert wants_more([1, 1], [5, 5])
    assert not wants_more([1, 1, 1], [5, 5, 5])
    assert not wants_more([0, 0, 0], [5, 5, 5]), "nothing right at all varies by nothing"
    assert wants_more([1, 0, 1], [5, 5, 5])
    assert not wants_more([1, 0] * 5, [5] * 10), "never beyond the most"
    assert not settled([1, 0], [5, 5])
    assert shared_runs([1.0, 3.0], 10) == [4, 6]
    assert shared_runs([1.0, 3.0], 100) == [10, 10]
    assert shared_runs([1.0, 3.0], 5) == shared_runs([0.0, 0.0], 50) == [3, 3]


# --- Eureka --------------------------------------------------------------------------------------------------------


def problems(seed: int, many: int = 20, n: int = 8) -> list[ProblemSamples]:
    rng = np.random.default_rng(seed)
    found = []
    for chance in rng.random(many):
        drawn = np.where(rng.random(n) < chance, 0, rng.integers(1, 4, n))
        found.append(ProblemSamples.of(np.where(rng.random(n) < 0.1, -1, drawn), drawn == 0))
    return found


def test_brackets_hold_their_order_and_meet_at_one_sample() -> None:
    found = [brackets(problems(1), n) for n in range(1, 9)]
    for each in found:
        assert each.worst.value <= each.average.value <= each.best.value
        assert each.majority.value <= each.best.value + 1e-12
    assert [each.best.value for each in found] == sorted(each.best.value for each in found)
    assert [each.worst.value for each in found] == sorted((each.worst.value for each in found), reverse=True)
    assert found[0].worst.value == found[0].best.value == pytest.approx(found[0].average.value)


def test_expected_brackets_of_bernoulli_answers() -> None:
    rng = np.random.default_rng(2)
    pools = [ProblemSamples.of(np.where(hits, 0, 1), hits) for hits in rng.random((800, 10)) < 0.3]
    found = brackets(pools, 4)
    assert found.best.value == pytest.approx(1 - 0.7**4, abs=0.03)
    assert found.worst.value == pytest.approx(0.3**4, abs=0.01)


def test_a_vote_of_answers_that_all_differ_is_one_sample() -> None:
    each = ProblemSamples.of([0, 1, 2, 3], [True, False, False, False])
    assert brackets([each, each], 3).majority.value == pytest.approx(0.25)


def test_the_sequential_protocol_and_its_measures() -> None:
    assert solved_within([1, None, 3, 2], 4).tolist() == [0.25, 0.5, 0.75, 0.75]
    assert reasoning_gap({"r1": 0.7, "o1": 0.9}, {"a": 0.8, "b": 0.6}) == (pytest.approx(0.3), "o1", "b")
    spread = token_nondeterminism([[10, 20], [5, 5], [1, 3], [7]], [[1, 1], [0, 0], [0, 1], [1]])
    assert spread == {"always right": pytest.approx(50**0.5), "always wrong": 0.0, "mixed": pytest.approx(2**0.5)}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: accuracy_per([1], [0]),
        lambda: accuracy_per([1, 0], [1]),
        lambda: cost_of_pass([1.5], [1]),
        lambda: brier([1.2], [1]),
        lambda: abstention([float("nan")], [1]),
        lambda: abstention([], []),
        lambda: expected_calibration_error([0.5], [1], bins=0),
        lambda: arise([[0, 1]], [[1, 2, 3]]),
        lambda: arise([[0, 2]], [[1, 2]]),
        lambda: brackets([], 1),
        lambda: brackets(problems(0), 9),
        lambda: solved_within([0], 2),
    ],
)
def test_what_can_not_be_measured_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(BadInput):
        wrong()
