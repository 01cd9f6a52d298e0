"""Choosing a form by what it foretells."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from outthink.core.errors import BadInput, PredictionRefused
from outthink.laws.compare import compare, held_out, suited
from outthink.laws.data import COVERAGE, Counts, Curve
from outthink.laws.forms import FORMS, form
from tests.laws.worlds import beta_counts, curve_of


def test_wrong_forms_are_told_by_what_they_foretell() -> None:
    counts = beta_counts(0.3, 8.0, problems=300, n=1000)
    judged = held_out(counts, [form(name) for name in ("beta_binomial", "log_linear", "parallel_saturation")], repeats=8)
    assert judged.ratio == pytest.approx(1000**0.5)
    assert judged.error("beta_binomial") < 0.03 < judged.error("log_linear")
    assert judged.error("parallel_saturation") > 0.1
    assert judged.as_good(judged.errors)[0] == "beta_binomial"
    assert "parallel_saturation" not in judged.as_good(judged.errors)


def test_small_budgets_are_all_that_a_form_sees() -> None:
    """A curve that turns after its middle: what comes later must not reach the fit."""
    x = np.geomspace(1, 1000, 21)
    low, turned = 0.1 + 0.05 * np.log(x), 0.1 + 0.05 * np.log(x)
    turned[x > 40] += 0.3
    errors = [held_out(Curve.of(x, y), [form("log_linear")], repeats=2).error("log_linear") for y in (low, turned)]
    assert errors == pytest.approx([0.0, 0.3 * np.mean(x[x > 1000**0.5 * 1.000001] > 40)], abs=1e-6)


def test_redrawn_counts_have_the_mean_of_all_and_no_more_samples() -> None:
    counts, rng = Counts.of([40, 25, 10], [10, 20, 1]), np.random.default_rng(0)
    drawn = [counts.upto(20, rng) for _ in range(2000)]
    assert drawn[0].n.tolist() == [20, 20, 10]
    assert np.mean([each.c for each in drawn], axis=0) == pytest.approx([5.0, 16.0, 1.0], abs=0.2)


def test_the_chosen_law_is_said_and_its_band_holds_those_as_good() -> None:
    found = compare(beta_counts(0.3, 8.0, problems=150, n=400), ["beta_binomial", "power_law", "log_linear"], resamples=40)
    assert found.chosen in found.kept
    assert found.law.ratio == pytest.approx(20.0)
    assert found.law.reach == pytest.approx(20.0)
    assert found.chosen in found.sentence()
    made = found.predict(4000)
    single = found.law.predict(4000)
    assert made.low <= single.low + 0.02
    assert made.high >= single.high - 0.02
    with pytest.raises(PredictionRefused):
        found.predict(1e6)


def test_one_form_without_judging() -> None:
    found = compare(beta_counts(0.3, 8.0, n=40), ["power_law"], hold_out=None, resamples=10)
    assert found.chosen == "power_law"
    assert found.law.error is None
    assert found.predict(100) == found.law.predict(100)
    assert "not tested" in found.sentence()


def test_forms_that_can_not_be_fitted_say_why_and_leave_the_others() -> None:
    found = compare(curve_of("exponentiated_power_law", (2.0, 0.5)), ["power_law", "beta_binomial"], resamples=5)
    assert list(found.laws) == ["power_law"]
    assert "not to a curve" in found.failed["beta_binomial"]
    with pytest.raises(BadInput, match="no form can be fitted"):
        compare(Counts.of(10, [0, 0]), resamples=2)
    with pytest.raises(BadInput, match="between 0 and 1"):
        compare(beta_counts(0.3, 8.0, n=40), ["power_law"], hold_out=1.5, resamples=2)


def test_forms_suit_what_was_measured() -> None:
    votes = Curve.of([1, 2, 4], [0.1, 0.2, 0.3], metric="majority accuracy")
    assert not any(FORMS[name].coverage for name in suited(votes))
    assert set(suited(votes)) < set(suited(Counts.of(4, [1, 2])))
    assert "sequential_saturation" in suited(Curve.first_solved([1, 2], 3))
    assert votes.metric != COVERAGE


def test_the_same_seed_gives_the_same_comparison() -> None:
    counts = beta_counts(0.3, 8.0, n=60)
    first, second = (compare(counts, ["power_law", "beta_binomial"], resamples=5, seed=4) for _ in range(2))
    assert first.laws == second.laws
    assert all(
        np.array_equal(a, b)
        for a, b in itertools.zip_longest(*(each.held_out.errors.values() for each in (first, second) if each.held_out))
    )


def test_a_redraw_that_nothing_solves_does_not_end_the_judging() -> None:
    hard = Counts.of(64, [0] * 11 + [40, 12])
    judged = held_out(hard, [form("power_law"), form("beta_binomial")], repeats=40)
    assert not judged.failed
    assert any(np.isnan(each).any() for each in judged.errors.values())
    assert all(0 < judged.error(name) < 1 for name in judged.errors)
