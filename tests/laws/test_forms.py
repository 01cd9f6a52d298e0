"""Every form: shares that rise, its own parameters found again, closed forms against slow obvious ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from outthink.core.errors import BadInput, UnknownName
from outthink.laws.data import Counts, Curve
from outthink.laws.forms import FORMS, form
from outthink.laws.forms.beta_binomial import BetaBinomial
from outthink.laws.forms.kumaraswamy import Kumaraswamy
from outthink.laws.forms.scaled import ScaledForm
from outthink.laws.forms.scaled_beta_binomial import ScaledBetaBinomial
from outthink.laws.forms.sequential_saturation import rates
from outthink.laws.parameters import Parameter
from tests.laws.worlds import beta_counts, curve_of

PLANTED = {
    "exponentiated_power_law": (3.0, 0.4),
    "power_law": (3.0, 0.4),
    "saturating_power_law": (0.7, 2.0, 0.6),
    "power_law_with_floor": (0.2, 0.6, 0.5),
    "log_linear": (0.1, 0.08),
    "log_sigmoid": (0.8, 1.2, 30.0),
    "parallel_saturation": (0.8, 0.05),
    "sequential_saturation": (0.8, 0.05),
}


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_scores_are_shares_and_rise(name: str, data: st.DataObject) -> None:
    made = form(name)
    spread = [st.floats(-6.5, 6.5).map(parameter.inside) for parameter in made.parameters]
    values = np.array([data.draw(each) for each in spread])
    if name == "log_linear":
        values[1] = abs(values[1])
    y = made.value(values, np.geomspace(1, 1e5, 30))
    assert np.all((y >= 0) & (y <= 1))
    assert np.all(np.diff(y) >= -1e-9)


@pytest.mark.parametrize(("name", "values"), PLANTED.items())
def test_planted_parameters_are_found_on_an_exact_curve(name: str, values: tuple[float, ...]) -> None:
    assert form(name).fit(curve_of(name, values)) == pytest.approx(np.array(values), rel=2e-3)


@pytest.mark.parametrize("prior", [False, True])
def test_a_beta_binomial_finds_its_own_parameters_and_what_coverage_will_be(prior: bool) -> None:
    counts = beta_counts(0.3, 8.0, problems=3000, n=100)
    found = BetaBinomial(prior=prior).fit(counts)
    assert found == pytest.approx(np.array([0.3, 8.0]), rel=0.12)
    truth = BetaBinomial().value(np.array([0.3, 8.0]), np.array([1e4]))
    assert BetaBinomial().value(found, np.array([1e4])) == pytest.approx(truth, abs=0.01)


def test_the_scaled_forms_find_their_own_parameters() -> None:
    found = ScaledBetaBinomial().fit(beta_counts(0.4, 3.5, problems=2000, n=300, scale=0.2))
    assert found[0] == pytest.approx(0.4, rel=0.1)
    assert found[2] == pytest.approx(0.2, rel=0.1)
    rng = np.random.default_rng(0)
    q = (1 - (1 - rng.random(2000)) ** (1 / 2.0)) ** (1 / 0.5)  # Kumaraswamy(0.5, 2) from its distribution function
    found = Kumaraswamy().fit(Counts.of(300, rng.binomial(300, q)))
    assert found[:2] == pytest.approx(np.array([0.5, 2.0]), rel=0.15)


@given(st.floats(0.05, 20), st.floats(0.1, 200), st.integers(1, 5000))
@settings(max_examples=40, deadline=None)
def test_the_quadrature_is_the_closed_form_where_the_scale_is_one(alpha: float, beta: float, k: int) -> None:
    x = np.array([1.0, float(k)])
    grid, closed = ScaledBetaBinomial().value(np.array([alpha, beta, 1.0]), x), BetaBinomial().value(np.array([alpha, beta]), x)
    assert grid == pytest.approx(closed, abs=1e-7)


@pytest.mark.parametrize(("made", "alpha", "beta", "scale"), [
    (ScaledBetaBinomial(), 0.7, 3.0, 0.3), (Kumaraswamy(), 0.6, 2.0, 0.4), (Kumaraswamy(), 2.5, 0.7, 1.0),
])  # fmt: skip
@pytest.mark.parametrize("k", [1, 7, 300])
def test_scaled_coverage_is_the_integral(made: ScaledForm, alpha: float, beta: float, scale: float, k: int) -> None:
    def quantile(u: float) -> float:  # the integral over q is one over its quantiles, which have no singular ends
        return float(stats.beta(alpha, beta).ppf(u)) if made.name != "kumaraswamy" else (1 - (1 - u) ** (1 / beta)) ** (1 / alpha)

    slow = integrate.quad(lambda u: 1 - (1 - scale * quantile(u)) ** k, 0, 1, epsabs=1e-9, limit=300)[0]
    assert float(made.value(np.array([alpha, beta, scale]), np.array([float(k)]))[0]) == pytest.approx(slow, abs=2e-6)


@pytest.mark.parametrize(("n", "c"), [(5, 0), (20, 3), (400, 399), (400, 400)])
@pytest.mark.parametrize("alpha", [0.05, 0.5, 3.0])
def test_the_scaled_likelihood_is_the_beta_binomials_where_the_scale_is_one(n: int, c: int, alpha: float) -> None:
    # the second problem is always right, so that the scale is 1
    cost = ScaledBetaBinomial().likelihood(Counts.of([n, n], [c, n])).cost(np.array([alpha, 2.0]))
    drawn = stats.betabinom(n, alpha, 2.0)
    log_ways = math.lgamma(n + 1) - math.lgamma(c + 1) - math.lgamma(n - c + 1)
    assert cost == pytest.approx(-(drawn.logpmf(c) - log_ways + drawn.logpmf(n)), rel=1e-7, abs=1e-7)


@pytest.mark.parametrize(("x", "coverage"), [(1, 0.1304), (10, 0.4415), (100, 0.7084), (1000, 0.8532), (10_000, 0.9264)])
def test_beta_coverage_worked_numbers(x: int, coverage: float) -> None:
    assert float(BetaBinomial().value(np.array([0.3, 2.0]), np.array([float(x)]))[0]) == pytest.approx(coverage, abs=5e-5)


def test_first_solved_rounds_give_the_censored_geometric_likelihood() -> None:
    rng = np.random.default_rng(3)
    first = np.where(rng.random(4000) < 0.7, rng.geometric(0.2, 4000), 0)
    rounds = np.where(first > 12, 0, first)
    assert form("sequential_saturation").fit(Curve.first_solved(rounds, 12)) == pytest.approx(np.array([0.7, 0.2]), rel=0.06)
    # Where all are solvable and none is left over, the rate is solved problems per round, as in any geometric sample.
    easy = rng.geometric(0.5, 500)
    ceiling, p = form("sequential_saturation").fit(Curve.first_solved(easy, int(easy.max())))
    assert ceiling == pytest.approx(1.0, abs=2e-3)
    assert p == pytest.approx(500 / easy.sum(), abs=5e-3)


@given(st.floats(0.01, 0.6), st.floats(0.0, 0.3), st.integers(1, 40))
def test_a_chain_that_forgets_has_the_same_curve(solved: float, lost: float, rounds: int) -> None:
    state = 0.0
    for _ in range(rounds):
        state = state * (1 - lost) + (1 - state) * solved
    ceiling, p = solved / (solved + lost), solved + lost
    assert float(form("sequential_saturation").value(np.array([ceiling, p]), np.array([float(rounds)]))[0]) == pytest.approx(
        state
    )
    assert rates(ceiling, p) == pytest.approx((solved, lost))


def test_what_can_not_be_fitted_is_refused_in_words() -> None:
    with pytest.raises(UnknownName, match="beta_binomial"):
        form("beta-binomal")
    with pytest.raises(BadInput, match="not to a curve"):
        form("beta_binomial").fit(curve_of("log_linear", (0.1, 0.08)))
    with pytest.raises(BadInput, match="no sample of any problem is right"):
        form("kumaraswamy").fit(Counts.of(10, [0, 0, 0]))
    with pytest.raises(BadInput, match="every sample is right"):
        form("beta_binomial").fit(Counts.of(10, [10, 10]))
    with pytest.raises(BadInput, match="3 parameters and there are 3 points"):
        form("log_sigmoid").fit(Curve.of([1, 2, 4], [0.1, 0.2, 0.3]))
    with pytest.raises(BadInput, match="stopped by success"):
        form("power_law").fit(Counts.of([10, 20], [1, 1], stopped=True))


@given(st.floats(-6, 6), st.booleans())
def test_coordinates_go_there_and_back(coordinate: float, positive: bool) -> None:
    parameter = Parameter("p", "", 1e-3, 40.0, positive=positive)
    assert parameter.outside(parameter.inside(coordinate)) == pytest.approx(coordinate, abs=1e-6)
    assert parameter.bound(parameter.inside(coordinate)) is None
    assert parameter.bound(40.0) == 40.0
