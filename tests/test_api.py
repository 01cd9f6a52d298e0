"""`evaluate` and `strategy` as a stranger calls them: what is unclear is refused before anything is spent."""

from __future__ import annotations

from typing import Any

import pytest

import outthink
from outthink.core.errors import BadInput
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.worlds import Odds, World

WORLD = World({"p": Odds("seven", {"seven": 0.6, "eight": 0.4})})


def test_one_strategy_and_one_budget_need_no_brackets() -> None:
    model = SimulatedBackend(WORLD)
    found = outthink.evaluate(WORLD.problems, model=model, task=WORLD.task, strategies="majority", budgets="2 samples")
    assert [(row.strategy, row.budget, row.samples) for row in found.rows] == [("majority", "2 samples", 2)]


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
