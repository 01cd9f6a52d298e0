"""A fitted law: intervals that hold, warnings where data say too little, refusals, and its JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from outthink.core.errors import BadInput, PredictionRefused
from outthink.laws.data import Counts, Curve
from outthink.laws.fit import fit, measured
from outthink.laws.forms import form
from outthink.laws.law import Law
from tests.laws.worlds import beta_counts, curve_of


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """40 data sets: fewer than 33 hits of 95% intervals happen once in about 600 such tests; 1 of 40 misses is the mean."""
    planted, hits, foretold = (0.4, 6.0), 0, 0
    truth = float(form("beta_binomial").value(np.array(planted), np.array([1000.0]))[0])
    for seed in range(40):
        law = fit(beta_counts(*planted, problems=100, n=100, seed=seed), "beta_binomial", resamples=60, points=())
        hits += law.parameters["alpha"].low <= 0.4 <= law.parameters["alpha"].high
        made = law.predict(1000)
        foretold += made.low <= truth <= made.high
    assert hits >= 33
    assert foretold >= 33


def test_a_curve_of_means_has_intervals_that_cover_both_shared_and_separate_errors() -> None:
    hits = 0
    for seed in range(20):
        law = fit(curve_of("exponentiated_power_law", (3.0, 0.4), noise=0.02, seed=seed), "exponentiated_power_law", resamples=60)
        hits += law.parameters["b"].low <= 0.4 <= law.parameters["b"].high
    assert hits >= 17


def test_without_errors_the_scatter_of_the_points_stands_for_them() -> None:
    noisy = curve_of("log_linear", (0.1, 0.08), noise=0.03)
    bare = Curve.of(noisy.x, noisy.y)
    law = fit(bare, "log_linear")
    assert law.parameters["slope"].low < 0.08 < law.parameters["slope"].high
    assert law.parameters["slope"].high - law.parameters["slope"].low > 0.004
    assert any("only means are known" in caution.text for caution in law.cautions)


def test_it_predicts_within_its_reach_and_refuses_beyond() -> None:
    law = fit(beta_counts(0.4, 6.0), "beta_binomial", resamples=30)
    inside, far = law.predict(50), law.predict(2000)
    assert inside.low < inside.value < inside.high < far.value <= 1
    for x in (2001.0, 0.09):
        with pytest.raises(PredictionRefused, match="10 times beyond"):
            law.predict(x)
    for x in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="a spend of"):
            law.predict(x)
    assert law.tested(0.02, 50.0).predict(5000).value > far.value


def test_a_flat_fit_predicts_nothing_beyond_what_was_measured() -> None:
    law = fit(curve_of("log_linear", (0.5, 0.0), noise=0.02), "saturating_power_law", resamples=60)
    assert law.blocked
    assert law.predict(1000).value == pytest.approx(0.5, abs=0.05)
    with pytest.raises(PredictionRefused, match="says nothing of 1001"):
        law.predict(1001)


def test_ceiling_and_middle_can_not_be_told_apart_before_the_curve_bends() -> None:
    early = curve_of("log_sigmoid", (0.8, 1.0, 1e6), last=100, noise=1e-6)
    assert any("apart" in text or "not known" in text or "bound" in text for text in fit(early, "log_sigmoid").blocked)


def test_a_line_refuses_where_it_leaves_the_shares() -> None:
    law = fit(curve_of("log_linear", (0.2, 0.1)), "log_linear", resamples=10)
    assert law.predict(2000).value == pytest.approx(0.2 + 0.1 * np.log(2000))
    with pytest.raises(PredictionRefused, match="no share any more"):
        law.predict(9000)


@pytest.mark.parametrize(
    ("data", "name", "text"),
    [
        (beta_counts(0.4, 6.0, problems=20), "power_law", "only 20 problems"),
        (Counts.of(50, [0] * 10 + [5] * 30), "beta_binomial", "10 of 40 problems were never solved"),
        (Counts.of([50] * 39 + [60], [5] * 20 + [9] * 20), "power_law", "50 to 60 samples"),
        (Curve.of(range(1, 7), [0.2, 0.5, 0.6, 0.55, 0.5, 0.45]), "log_sigmoid", "falls by 0.150"),
        (Curve.of(range(1, 7), [0.2, 0.5, 0.6, 0.7, 0.8, 0.8]), "power_law", "is for coverage"),
        (Curve.of([1, 2, 4, 8], [0.2, 0.5, 0.6, 0.7]), "log_sigmoid", "4 points for 3 parameters"),
    ],
)
def test_cautions_name_what_is_thin(data: Counts | Curve, name: str, text: str) -> None:
    assert text in " ".join(caution.text for caution in fit(data, name, resamples=20).cautions)


def test_a_score_that_spend_does_not_change_is_said_so() -> None:
    rng = np.random.default_rng(0)
    curve = Curve.of([1, 2, 4, 8, 16], (rng.random((60, 5)) < 0.5).astype(float))
    assert any("no more than chance" in text for text in fit(curve, "log_linear", resamples=20).blocked)


def test_needed_spend_is_where_the_score_is_reached() -> None:
    law = fit(beta_counts(0.4, 6.0), "beta_binomial", resamples=40)
    needed = law.needed(0.7)
    assert law.score(needed.value) == pytest.approx(0.7, abs=1e-3)
    assert needed.low < needed.value < needed.high
    with pytest.raises(PredictionRefused, match="is not reached"):
        law.needed(0.999)


@pytest.mark.parametrize("name", ["beta_binomial", "saturating_power_law", "kumaraswamy"])
def test_json_reads_back_digit_for_digit(name: str) -> None:
    law = fit(beta_counts(0.4, 6.0, n=40), name, resamples=5).tested(0.01, 12.0)
    assert Law.from_json(law.to_json()) == law
    assert Law.from_json(json.dumps(json.loads(law.to_json()), indent=1)).predict(60) == law.predict(60)


def test_json_of_anything_else_is_refused() -> None:
    good = json.loads(fit(beta_counts(0.4, 6.0, n=40), "power_law", resamples=3).to_json())
    broken = [
        "", "[]", "{}", "7", json.dumps({**good, "version": 2}), json.dumps({**good, "values": [1.0]}),
        json.dumps({**good, "form_name": "cubic"}), json.dumps({**good, "draws": [["a", "b"]]}),
        json.dumps({**good, "largest": 0.5}),
        json.dumps({name: value for name, value in good.items() if name != "unit"}),
    ]  # fmt: skip
    for text in broken:
        with pytest.raises(BadInput, match="is no law of ours"):
            Law.from_json(text)


def test_measured_points_carry_intervals_over_problems() -> None:
    points = measured(beta_counts(0.4, 6.0, n=40))
    assert points[0].x == 1
    assert points[-1].x == 40
    assert all(point.low is not None and point.high is not None and point.low <= point.y <= point.high for point in points)
    assert measured(Counts.of([10, 20], [1, 1], stopped=True)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Counts.of(5, [6]),
        lambda: Counts.of([], []),
        lambda: Curve.of([1, 1], [0.2, 0.3]),
        lambda: Curve.of([0, 1], [0.2, 0.3]),
        lambda: Curve.of([1, 2], [20, 30]),
        lambda: Curve.of([1, 2], [0.2, float("nan")]),
        lambda: Curve.of([1, 2], [0.2]),
        lambda: Curve.of([1, 2], [0.2, 0.3], error=[-1, 0]),
        lambda: Curve.first_solved([3], 2),
    ],
)
def test_what_is_no_measurement_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(BadInput):
        wrong()
