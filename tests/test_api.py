"""`evaluate` and `strategy` as a stranger calls them: what is unclear is refused before anything is spent."""

from __future__ import annotations

import re
from typing import Any

import pytest

import outthink
from outthink.core.errors import BadInput
from outthink.testing.simulated import Faults, SimulatedBackend
from outthink.testing.worlds import Odds, World

WORLD = World({"p": Odds("seven", {"seven": 0.6, "eight": 0.4})})


def test_one_strategy_and_one_budget_need_no_brackets() -> None:
    model = SimulatedBackend(WORLD)
    found = outthink.evaluate(WORLD.problems, model=model, task=WORLD.task, strategies="majority", budgets="2 samples")
    assert [(row.strategy, row.budget, row.samples) for row in found.rows] == [("majority", "2 samples", 2)]


def test_runs_that_the_whole_budget_ended_are_told_of() -> None:
    world = World({f"p{at}": Odds("seven", {"seven": 1.0}) for at in range(6)})
    how = {"model": SimulatedBackend(world), "task": world.task, "strategies": "majority", "budgets": "4 samples"}
    found = outthink.evaluate(world.problems, budget="10 samples", **how)
    (note,) = [each for each in found.remarks if "whole evaluation" in each]
    assert re.match(r"[1-6] of 6 runs were ended by the budget of the whole evaluation, and count", note)
    assert not [each for each in outthink.evaluate(world.problems, **how).remarks if "whole" in each]


def test_runs_that_failed_are_told_of_with_a_reason() -> None:
    world = World({f"p{at}": Odds("seven", {"seven": 1.0}) for at in range(4)})
    model = SimulatedBackend(world, faults=Faults(broken=frozenset({0})))
    found = outthink.evaluate(
        world.problems, model=model, task=world.task, strategies=["single", "majority"], budgets="3 samples"
    )
    (note,) = [each for each in found.remarks if "failed" in each]
    assert note.startswith("4 of 8 runs failed; the first, of problem p")
    assert "this sample always fails" in note


@pytest.mark.parametrize("twice", [{"strategies": ["single", "single"]}, {"budgets": ["2 samples", 2]}])
def test_what_is_given_twice_is_refused_before_anything_is_spent(twice: dict[str, Any]) -> None:
    model = SimulatedBackend(WORLD)
    with pytest.raises(BadInput, match="given twice"):
        outthink.evaluate(WORLD.problems, model=model, task=WORLD.task, **twice)
    assert model.calls == 0


def test_a_strategy_needs_a_name_and_a_docstring() -> None:
    async def bare(run: Any, problem: Any) -> Any: ...

    with pytest.raises(BadInput, match="needs a name"):
        outthink.strategy(bare)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="an async function with a docstring"):
        outthink.strategy("bare")(bare)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"seed": "x"}, "seed: is 'x' and must be a whole number"),
        ({"seed": 1.5}, "seed: is 1.5"),
        ({"seed": True}, "seed: is True"),
        ({"sampling": "hot"}, "sampling: is 'hot' and must be values by name"),
        ({"sampling": {1: 2}}, "sampling: is {1: 2}"),
        ({"sampling": {"temperature": "hot"}}, "temperature is 'hot' and must be a number"),
        ({"parameters": "n=3"}, "parameters: is 'n=3'"),
        ({"parameters": {1: 1}}, "parameters: is {1: 1}"),
        ({"parameters": {"quorum": 1.5}}, "majority.quorum: 1.5 must be a whole number"),
        ({"parameters": {"quorum": None}}, "majority.quorum: None must be a whole number"),
        ({"strategy": "adaptive_consistency", "parameters": {"threshold": "x"}}, "'x' must be a finite number or None"),
        ({"concurrency": "x"}, "concurrency: is 'x'"),
        ({"retry": 5}, "retry: is 5 and must be made by Retry"),
        ({"prices": 5}, "prices: is 5 and must be made by Prices"),
        ({"roles": 5}, "roles: is 5"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(settings: dict[str, Any], why: str) -> None:
    model = SimulatedBackend(WORLD)
    with pytest.raises(BadInput, match=re.escape(why)):
        outthink.solve(WORLD.problems[0], **{"model": model, "task": WORLD.task, "budget": 2, **settings})
    assert model.calls == 0


@pytest.mark.parametrize(
    "settings", [{"replicates": "x"}, {"replicates": 0}, {"parameters": [1]}, {"parameters": {"majority": 5}}, {"seed": None}]
)
def test_an_evaluation_refuses_them_too(settings: dict[str, Any]) -> None:
    model = SimulatedBackend(WORLD)
    with pytest.raises(BadInput):
        outthink.evaluate(WORLD.problems, model=model, task=WORLD.task, **settings)
    assert model.calls == 0
