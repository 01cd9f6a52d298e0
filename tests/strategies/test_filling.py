"""n=None fills a budget of whatever kind, or is refused by a sentence that says what to give."""

from __future__ import annotations

from typing import Any

import pytest

from outthink import catalogue
from outthink.core.errors import BadInput
from outthink.core.selection import Stop
from outthink.testing.trials import Case, Trial, trial
from outthink.testing.worlds import Odds, World

SURE = World({"p": Odds("gold", {"gold": 1.0})}, words=(30, 30))
"""Each reply takes 34 tokens."""


def filled(strategy: str, budget: str | None, verifier: str | None = None, **parameters: Any) -> Trial:
    case = Case(catalogue.strategy(strategy), {"n": None, **parameters}, verifier)
    return trial(case, world=SURE, budget=budget, max_tokens=60)


def atts(budget: str | None) -> Trial:
    return filled("atts", budget, "toy", chunk=40, level=0.0, calibration=[[0.5, 0.1]])


def deepprune(budget: str | None) -> Trial:
    return filled("deepprune", budget, truncate=10, judge="logprob", threshold=-1.0, vote=2)


def first_finish(budget: str | None) -> Trial:
    return filled("first_finish", budget)


@pytest.mark.parametrize(("budget", "rounds"), [("20 samples", 5), ("20 calls", 5), ("340 completion tokens", 2)])
def test_atts_writes_four_at_a_time_until_the_budget_is_spent(budget: str, rounds: int) -> None:
    found = atts(budget)
    assert (found.done.answer, found.done.stop) == ("gold", Stop.BUDGET)
    assert [offer.usage.samples for offer in found.done.offers] == [4 * (at + 1) for at in range(rounds)]
    assert found.backend.in_flight == 0


@pytest.mark.parametrize(("budget", "begun"), [("20 samples", 10), ("20 calls", 10), ("400 completion tokens", 20)])
def test_deepprune_begins_with_half_of_a_budget(budget: str, begun: int) -> None:
    found = deepprune(budget)
    assert (found.done.answer, found.done.stop) == ("gold", Stop.FINISHED)
    assert found.done.usage.samples == begun + 2, "all are alike: two are finished"
    assert found.done.usage.completion_tokens == begun * 10 + 2 * 34


def test_first_finish_begins_all_samples_of_a_budget() -> None:
    found = first_finish("20 samples")
    assert (found.done.answer, found.done.stop, found.done.usage.samples) == ("gold", Stop.FINISHED, 20)
    assert found.backend.in_flight == 0


@pytest.mark.parametrize("budget", ["20 calls", "400 completion tokens", "2s", None])
def test_first_finish_needs_a_number_to_begin(budget: str | None) -> None:
    with pytest.raises(BadInput, match="a budget of samples"):
        first_finish(budget)


@pytest.mark.parametrize("strategy", [atts, deepprune])
def test_nothing_to_fill_is_refused(strategy: Any) -> None:
    with pytest.raises(BadInput, match="n=None fills the budget, and there is none; give a budget such as"):
        strategy(None)


@pytest.mark.parametrize("strategy", [atts, deepprune])
def test_time_is_filled_too(strategy: Any) -> None:
    found = strategy("3s")
    assert found.done.answer == "gold"
    assert found.done.usage.samples > 16, "more than one round"
    assert found.done.wall_seconds <= 3 + 1e-9
    assert found.backend.in_flight == 0
