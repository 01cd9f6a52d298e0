"""Verifiers that err: the published model's worked numbers, and every closed form against brute force or simulation."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.evaluation.verifier_truth import Audit, Mixture, ceiling, filtered, resampled_value, sound_accuracy

PUBLISHED = Mixture([0.58, 0.42], [0.87, 0.13], completeness=1, soundness=0.75)


@pytest.mark.parametrize(
    ("false_positive", "attempts", "value", "endless"),
    [(-0.7, 3, 0.5246, 0.5176), (-1, 2, 0.4724, 0.4325), (-2, 1, 0.3388, 0.1487), (-4, 1, 0.1184, None), (-8, 0, 0.0, None)],
)
def test_the_published_model_in_its_exact_form(false_positive: float, attempts: int, value: float, endless: float | None) -> None:
    found, worth = PUBLISHED.optimal_attempts(500, false_positive=false_positive)
    assert (found, worth) == (attempts, pytest.approx(value, abs=5e-5))
    curve = PUBLISHED.values(500, false_positive=false_positive)
    if endless is not None:
        assert curve[-1] == pytest.approx(endless, abs=5e-5)
    if not attempts:
        assert curve[0] == pytest.approx(-0.3224)


def test_the_published_formula_and_the_exact_one_differ_in_level_and_not_in_when_to_stop() -> None:
    assert PUBLISHED.published_values(5000)[-1] == pytest.approx(0.870, abs=5e-4)
    assert PUBLISHED.values(5000)[-1] == pytest.approx(PUBLISHED.ceiling(), abs=1e-9) == pytest.approx(0.716, abs=5e-4)
    assert PUBLISHED.published_values(500, false_positive=-2)[-1] == pytest.approx(-0.080, abs=5e-4)
    for false_positive in (-0.7, -1, -2):
        best = int(PUBLISHED.published_values(500, false_positive=false_positive).argmax()) + 1
        assert best == PUBLISHED.optimal_attempts(500, false_positive=false_positive)[0]
    assert ceiling([0.87, 0.13], 1, 0.75) == pytest.approx([0.964, 0.374], abs=5e-4)


def test_values_are_those_of_simulated_runs() -> None:
    rng, mixture = np.random.default_rng(0), Mixture([0.3, 0.7], [0.8, 0.2], completeness=0.9, soundness=0.6)
    right = rng.random((200_000, 6)) < np.asarray([0.8, 0.2])[(rng.random(200_000) < 0.7).astype(int)][:, None]
    accepted = np.where(right, rng.random(right.shape) < 0.9, rng.random(right.shape) >= 0.6)
    first = np.where(accepted.any(axis=1), accepted.argmax(axis=1), 6)
    for k in range(1, 7):
        done = first < k
        hit = right[np.arange(len(right)), np.minimum(first, 5)] & done
        spent = np.minimum(first + 1, k)
        simulated = (hit - 2.0 * (done & ~hit) - 0.05 * spent).mean()
        assert mixture.values(6, false_positive=-2, price=0.05)[k - 1] == pytest.approx(simulated, abs=0.012)


def test_laws_of_resampling() -> None:
    perfect = Mixture([0.5, 0.5], [0.0, 0.4])
    assert np.all(np.diff(perfect.values(50)) >= 0)
    assert perfect.values(400)[-1] == pytest.approx(0.5), "the share of problems that can be solved at all"
    one = Mixture([1.0], [0.3], soundness=0.5)
    assert np.ptp(one.false_positive_rates(20)) < 1e-12
    assert one.optimal_attempts(50, false_positive=-1)[0] == 0
    assert one.optimal_attempts(50, false_positive=-0.5)[0] == 50
    assert np.all(np.diff(PUBLISHED.false_positive_rates(20)) > 0), "the easy type leaves first"
    attempts = [PUBLISHED.optimal_attempts(500, false_positive=-0.7, price=price)[0] for price in (0, 0.02, 0.05, 0.2, 2)]
    assert attempts == sorted(attempts, reverse=True)
    assert attempts[-1] == 0


@given(st.lists(st.sampled_from(["right", "luck", "rejected"]), min_size=1, max_size=6), st.data())
def test_recorded_verdicts_give_the_mean_over_all_orders(samples: list[str], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(samples)))
    worth = {"right": 1.0, "luck": -2.0}
    plain = statistics.fmean(
        next((worth[each] for each in order[:k] if each in worth), 0.0) for order in itertools.permutations(samples)
    )
    right, luck = samples.count("right"), samples.count("luck")
    assert resampled_value([len(samples)], [right + luck], [right], k, false_positive=-2)[0] == pytest.approx(plain)


def test_soundness_next_to_accuracy() -> None:
    assert Audit(0, 0).false_positive_rate is None, "undefined where nothing is right, not 0"
    audit = Audit(48, 17)
    assert audit.false_positive_rate is not None
    assert audit.false_positive_rate.value == pytest.approx(0.354, abs=5e-4)
    credit = np.repeat([1.0, 0.0], [48, 42])
    sound = sound_accuracy(credit, audit)
    assert sound.value == pytest.approx(31 / 90)
    assert sound.low < sound.value < sound.high
    narrow, wide = sound_accuracy(credit, Audit(48, 0)), sound_accuracy(credit, Audit(3, 0))
    assert wide.low < narrow.low
    assert sound_accuracy(credit, Audit(0, 0)).low < 0.05
    assert sound_accuracy(np.ones(30), Audit(10, 2)).value == pytest.approx(0.8)
    with pytest.raises(BadInput, match="were audited"):
        sound_accuracy(credit, Audit(60, 1))


def test_the_joint_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Accuracy 0.6, one right answer in four unsound, 30 of the right ones audited: 150 repetitions."""
    rng, covered = np.random.default_rng(1), 0
    for repetition in range(150):
        credit = (rng.random(80) < 0.6).astype(float)
        found = sound_accuracy(credit, Audit(30, int(rng.binomial(30, 0.25))), seed=repetition)
        covered += found.low <= 0.45 <= found.high
    assert 0.89 <= covered / 150 <= 0.99


def test_a_detector_before_answering() -> None:
    assert filtered(0.8, 0.25, recall=0, specificity=1) == pytest.approx((0.6, 0.8))
    assert filtered(0.8, 0.25, recall=1, specificity=1) == pytest.approx((0.6, 0.6))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Audit(3, 4),
        lambda: Mixture([0.5], [0.1]),
        lambda: Mixture([0.5, 0.5], [0.1, 1.2]),
        lambda: PUBLISHED.values(0),
        lambda: resampled_value([4], [2], [3], 1),
    ],
)
def test_what_can_not_be_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(BadInput):
        wrong()
