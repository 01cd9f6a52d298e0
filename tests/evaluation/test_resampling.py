"""Fast resampling against the plainest count of each prefix, the exact expectations, and resamples with orders drawn afresh."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import best_at_k, majority_at_k, pass_at_k
from outthink.evaluation.pool import Pool
from outthink.evaluation.prefixes import ORACLE, credit_of_prefixes
from outthink.evaluation.problem_samples import ProblemSamples, problem_samples
from outthink.evaluation.resampling import resample
from outthink.evaluation.schema import RECORDED_POOLS
from tests.shared_data import shared

NAMES = ["majority", "weighted_majority", "best_of_n", ORACLE]
number = st.one_of(st.just(math.nan), st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]))
sample = st.tuples(st.integers(-1, 3), st.booleans(), number, number)
Rows = list[tuple[int, bool, float, float]]


def plain(samples: ProblemSamples, drawn: list[int], name: str) -> float:
    """The credit of one prefix, one sample after the other."""
    weights, scores = samples.weights, samples.scores
    assert weights is not None
    assert scores is not None
    if name == ORACLE:
        return float(any(samples.right[i] for i in drawn))
    if name == "best_of_n":
        able = [i for i in drawn if samples.classes[i] >= 0 and not math.isnan(scores[i])]
        best = [bool(samples.right[i]) for i in able if scores[i] == max(scores[j] for j in able)]
        return statistics.fmean(best) if best else 0.0
    votes: dict[int, float] = {}
    for i in drawn:
        weight = 1.0 if name == "majority" else float(weights[i])
        if samples.classes[i] >= 0 and not math.isnan(weight):
            votes[int(samples.classes[i])] = votes.get(int(samples.classes[i]), 0.0) + weight
    tied = [c for c, weight in votes.items() if weight == max(votes.values())]
    right = [statistics.fmean(samples.right[samples.classes == c]) for c in tied]
    return statistics.fmean(right) if right else 0.0


@given(st.lists(sample, min_size=1, max_size=9), st.integers(0, 2**32 - 1), st.data())
def test_every_prefix_gets_the_credit_that_a_plain_count_gives(
    rows: list[tuple[int, bool, float, float]], seed: int, data: st.DataObject
) -> None:
    classes, right, weights, scores = zip(*rows, strict=True)
    samples = ProblemSamples.of(classes, right, weights=weights, scores=scores)
    ns = sorted(data.draw(st.sets(st.integers(1, len(rows)), min_size=1)))
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(len(rows)), (5, 1)), axis=1).T
    found = credit_of_prefixes(samples, orders, ns, NAMES)
    for s, name in enumerate(NAMES):
        for j, n in enumerate(ns):
            assert found[s, j] == pytest.approx([plain(samples, list(order[:n]), name) for order in orders.T])


def random_problems(many: int, n: int, classes: int = 5, seed: int = 0) -> list[ProblemSamples]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(many):
        drawn = rng.choice(classes, n, p=rng.dirichlet(np.full(classes, 0.6)))
        drawn[rng.random(n) < 0.1] = -1
        scores = rng.random(n).round(1)
        found.append(ProblemSamples.of(drawn, drawn == 0, weights=scores, scores=scores))
    return found


def test_values_are_the_exact_expectations_within_their_noise() -> None:
    problems = random_problems(40, 24)
    found = resample(problems, [1, 4, 16, 24], resamples=1000)
    for at, n in enumerate(found.ns):
        exact = {"majority": [], "best_of_n": [], ORACLE: []}  # type: dict[str, list[float]]
        for each in problems:
            assert each.scores is not None
            counts = np.bincount(each.classes[each.classes >= 0], minlength=1).tolist()
            exact["majority"].append(majority_at_k(counts, each.class_right.tolist(), n, invalid=int((each.classes < 0).sum())))
            exact["best_of_n"].append(best_at_k(np.where(each.classes < 0, np.nan, each.scores), each.right, n))
            exact[ORACLE].append(float(pass_at_k(each.n, int(each.right.sum()), n)))
        for name, values in exact.items():
            # 40 problems, about 1,000 orders each: a standard error of at most 0.5 / sqrt(40,000)
            assert found.values[name][at] == pytest.approx(statistics.fmean(values), abs=1e-9 if n in (1, 24) else 4 * 0.0025), (
                name,
                n,
            )


def test_resamples_spread_as_orders_drawn_afresh_do() -> None:
    """Standard deviations and correlations of resampled means, against draws that each have a new order."""
    names, ns = ["majority", "best_of_n"], [1, 4, 8]
    problems, rng = random_problems(12, 10, seed=3), np.random.default_rng(5)
    found = resample(problems, ns, resamples=4000, seed=1)
    chosen, fresh = rng.integers(12, size=(4000, 12)), np.zeros((2, len(ns), 4000))
    for at, problem in enumerate(problems):
        resamples = np.nonzero(chosen == at)[0]
        orders = rng.permuted(np.tile(np.arange(10), (len(resamples), 1)), axis=1).T
        np.add.at(fresh, (slice(None), slice(None), resamples), credit_of_prefixes(problem, orders, ns, names) / 12)
    ours = np.stack([found.means[name] for name in names])
    # the standard error of a standard deviation from 4,000 draws is about 1.1%
    np.testing.assert_allclose(ours.std(axis=2), fresh.std(axis=2), rtol=0.06)
    np.testing.assert_allclose(np.corrcoef(ours.reshape(6, -1)), np.corrcoef(fresh.reshape(6, -1)), atol=0.07)


def test_the_same_seed_gives_the_same_numbers_on_any_number_of_threads() -> None:
    problems = random_problems(40, 12) + random_problems(5, 9, seed=8)
    one, three = (resample(problems, [1, 8, 9], resamples=50, threads=threads) for threads in (1, 3))
    assert all(np.array_equal(one.means[name], three.means[name]) for name in NAMES)
    assert not np.array_equal(one.means["majority"], resample(problems, [1, 8, 9], resamples=50, seed=1).means["majority"])


def test_intervals_hold_their_value_and_pairing_tightens_them() -> None:
    found = resample(random_problems(60, 16), [1, 16], resamples=400)
    for name in NAMES:
        interval = found.interval(name, 16)
        assert interval.low <= interval.value <= interval.high
    paired = found.difference(("weighted_majority", 16), ("majority", 16))
    alone = found.interval("majority", 16)
    assert paired.high - paired.low < alone.high - alone.low
    sure = resample([ProblemSamples.of([0, 0], [True, True])] * 5, [2], resamples=10).interval("majority", 2)
    assert (sure.value, sure.high) == (1.0, 1.0)
    assert 0.5 < sure.low < 0.6, "five right of five leave something open"


def test_weights_of_nothing_and_orders_of_magnitude() -> None:
    orders = np.arange(4)[:, None]
    tied = ProblemSamples.of([0, 1, 1, -1], [True, False, False, True], weights=[0, 0, 0, 9])
    assert credit_of_prefixes(tied, orders, [3, 4], ["weighted_majority"])[0, :, 0].tolist() == [0.5, 0.5]
    tiny = ProblemSamples.of([0, 1, 1, 2], [True, False, False, False], weights=[3e-200, 1e-200, 1e-200, 0])
    assert credit_of_prefixes(tiny, orders, [3, 4], ["weighted_majority"])[0, :, 0].tolist() == [1, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: resample([], [1]),
        lambda: resample(random_problems(2, 4), [5]),
        lambda: resample(random_problems(2, 4), [0, 1]),
        lambda: resample(random_problems(2, 4), [1]).interval("majority", 2),
        lambda: ProblemSamples.of([0, 1], [True]),
        lambda: ProblemSamples.of([0], [True], weights=[-1.0]),
        lambda: ProblemSamples.of([-2], [True]),
        lambda: credit_of_prefixes(ProblemSamples.of([0], [True]), np.zeros((1, 1), dtype=np.intp), [1], ["best_of_n"]),
    ],
)
def test_what_can_not_be_resampled_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(BadInput):
        wrong()


def test_a_recorded_pool_gives_its_stated_figures() -> None:
    pool = Pool.read(shared("pools/gpqa64_llama70b_genrm_128x32.parquet"), columns=RECORDED_POOLS)
    found = resample(list(problem_samples(pool).values()), [1, 16, 128], resamples=200)
    assert found.interval(ORACLE, 128).value == pytest.approx(0.875)
    assert found.interval(ORACLE, 16).value == pytest.approx(0.76414, abs=0.01)
    scored = Pool.read(shared("pools/math100_qwen_rm_8.parquet"), columns=RECORDED_POOLS)
    best = resample(list(problem_samples(scored, weights="score", scores="score").values()), [8], resamples=100)
    assert best.interval("best_of_n", 8).value == pytest.approx(0.94)
    assert best.interval("majority", 8).value == pytest.approx(0.925)
