"""Potentials: their products along a trace are what their laws say, to rounding."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput, UnknownName
from outthink.core.key import Key
from outthink.core.sample import Finish, Sample
from outthink.parts.potentials import FORMS, TARGETS, Potential, aimed
from outthink.parts.resampling import relative
from outthink.parts.traces import Trace

STEP = Sample(Key("run"), "a step", Finish.EOS)


def trace(*scores: float | None, ended: bool = True) -> Trace:
    return Trace((STEP,) * len(scores), scores, Finish.EOS if ended else None)


@given(
    st.lists(st.floats(-3, 3), min_size=1, max_size=9),
    st.floats(-5, 20),
    st.integers(1, 4),
    st.lists(st.floats(-5, 5), max_size=4),
    st.sampled_from(["diff", "max", "add", "rt", "is"]),
)
def test_products_telescope(rewards: list[float], strength: float, every: int, early: list[float], form: str) -> None:
    potential = Potential(form, (*early, strength), every=every)
    assert potential.total(trace(*rewards)) == pytest.approx(strength * rewards[-1], abs=1e-9)


def test_products_of_steps() -> None:
    scores = (0.8, 0.2, 0.9)
    odds = [s / (1 - s) for s in scores]
    assert aimed("product").total(trace(*scores)) == pytest.approx(math.log(math.prod(odds)))
    assert aimed("final").total(trace(*scores)) == pytest.approx(math.log(odds[-1]))
    assert aimed("bernoulli").total(trace(*scores)) == pytest.approx(math.log(math.prod(scores)))
    assert aimed("final", (4.0, 2.0)).total(trace(*scores)) == pytest.approx(math.log(odds[-1]) / 2)
    assert aimed("final", (4.0, 2.0)).total(trace(0.9)) == pytest.approx(math.log(9) / 2), (
        "an early end is of the last temperature"
    )
    annealed = math.log(odds[0]) / 4 + math.log(odds[1]) / 2 + math.log(odds[2]) / 2
    assert aimed("product", (4.0, 2.0)).total(trace(*scores)) == pytest.approx(annealed)
    assert Potential("bon", (3.0,)).total(trace(*scores)) == 0


@pytest.mark.parametrize("rewards", [(1.0, 3.0, 2.0), (-1.0, -3.0), (0.5,)])
def test_official_codes_tilt_by_the_running_value(rewards: tuple[float, ...]) -> None:
    totals = {form: Potential(form, (2.0,), compat=True).total(trace(*rewards)) for form in ("diff", "max", "add", "rt", "is")}
    last = 2 * rewards[-1]
    assert totals == pytest.approx({"diff": last, "max": 2 * max(0.0, *rewards), "add": 2 * sum(rewards), "rt": last, "is": last})


def test_weights_of_the_card() -> None:
    def weights(temperature: float) -> list[float]:
        logs = [aimed("product", (temperature,)).log(trace(score, ended=False)) for score in (0.9, 0.5, 0.2)]
        return [weight / sum(relative(logs)) for weight in relative(logs)]

    assert weights(1.0) == pytest.approx([0.8780, 0.0976, 0.0244], abs=5e-5)
    assert weights(2.0) == pytest.approx([0.6667, 0.2222, 0.1111], abs=5e-5)
    assert weights(1e9) == pytest.approx([1 / 3] * 3)
    assert weights(1e-3) == pytest.approx([1, 0, 0])


def test_on_the_way() -> None:
    halfway = trace(1.0, 3.0, 2.0, ended=False)
    found = {form: Potential(form, (2.0,)).log(halfway, 6.0 if form == "diff" else 0.0) for form in FORMS}
    assert found == {"diff": -2.0, "max": 6.0, "add": 12.0, "rt": 4.0, "is": 0.0, "bon": 0.0, "step": 4.0}
    below = trace(-1.0, -2.0, ended=False)
    assert (Potential("max").log(below), Potential("max", compat=True).log(below)) == (-1.0, 0.0)


def test_points_are_every_so_many_steps_and_the_end() -> None:
    sparse = Potential("add", every=2)
    assert [sparse.due(trace(*[None] * depth, ended=False)) for depth in (1, 2, 3, 4)] == [False, True, False, True]
    assert sparse.due(trace(None))
    assert sparse.log(trace(None, 2.0, None, 3.0, ended=False)) == 5.0
    assert sparse.total(trace(None, 2.0, 7.0)) == 7.0


def test_scores_that_are_none_or_no_probabilities() -> None:
    assert Potential("rt").log(trace(0.5, None)) == -math.inf
    assert aimed("final").log(trace(None), -3.0) == -math.inf
    clipped = [aimed("product").log(trace(score)) for score in (0.0, 1.0)]
    assert clipped == pytest.approx([-math.log(1e7), math.log(1e7)], rel=1e-6)
    assert aimed("bernoulli").log(trace(1.0)) == 0.0
    for potential, score in (
        (aimed("product"), 1.5),
        (aimed("bernoulli"), -0.1),
        (Potential(), math.nan),
        (Potential(), math.inf),
    ):
        with pytest.raises(BadInput, match="score"):
            potential.log(trace(score))


def test_what_is_no_potential_is_refused() -> None:
    for wrong in ({"form": "sum"}, {"transform": "odds"}):
        with pytest.raises(UnknownName):
            Potential(**wrong)  # type: ignore[arg-type]  # wrong on purpose
    for bad in ({"strengths": ()}, {"strengths": (math.nan,)}, {"clip": 0.0}, {"every": 0}):
        with pytest.raises(BadInput):
            Potential(**bad)  # type: ignore[arg-type]  # wrong on purpose
    for temperatures in ((), (0.0,), (1.0, -1.0), (math.nan,)):
        with pytest.raises(BadInput, match="temperatures"):
            aimed("final", temperatures)
    with pytest.raises(UnknownName, match="final"):
        aimed("finale")
    assert set(TARGETS) == {"product", "final", "bernoulli"}
