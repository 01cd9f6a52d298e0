"""Self-refine: its calls are those of the closed form, and right drafts are a two-state chain."""

from __future__ import annotations

import math

import pytest

from outthink import catalogue
from outthink.testing import exact
from outthink.testing.trials import Case, trial
from outthink.testing.worlds import Odds, World

REFINE = catalogue.strategy("self_refine")


@pytest.mark.parametrize("iterations", [0, 1, 3])
@pytest.mark.parametrize("scored", [False, True])
def test_calls(iterations: int, scored: bool) -> None:
    # Nothing is ever right, and feedback never says that it is: all iterations are made.
    world = World({"p": Odds("gold", {"lead": 1.0})}, mends=0.0)
    result = trial(Case(REFINE, {"iterations": iterations, "scored": scored}), world=world).done
    assert result.usage.calls == (2 if scored else 1) + 2 * iterations
    assert result.answer == "lead"
    if scored:
        assert result.selection is not None
        assert result.confidence == 0.3
        assert result.selection.sample == result.samples[0], "of equal ratings the earliest wins"


def test_feedback_that_is_content_ends_it() -> None:
    result = trial(Case(REFINE), world=World({"p": Odds("gold", {"gold": 1.0})})).done
    assert (result.answer, result.usage.calls) == ("gold", 2)


@pytest.mark.parametrize("iterations", [1, 3])
def test_right_drafts_are_a_chain(iterations: int) -> None:
    how = {"sensitivity": 0.6, "specificity": 0.8, "keeps": 0.7, "mends": 0.5}
    world = World({"p": Odds("gold", {"gold": 0.3, "lead": 0.7})}, **how)  # type: ignore[arg-type]
    runs = 400
    right = sum(
        trial(Case(REFINE, {"iterations": iterations}), world=world, seed=seed).done.answer == "gold" for seed in range(runs)
    )
    chance = exact.refined(0.3, iterations, **how)
    assert abs(right / runs - chance) < 4 * math.sqrt(chance * (1 - chance) / runs)
    assert abs(chance - 0.3) > 0.1, "a rule that never refined would be found out"


def test_a_draft_without_an_answer_is_never_chosen() -> None:
    world = World({"p": Odds("gold", {"gold": 1.0})}, sensitivity=0.0, keeps=0.0)  # refining loses the answer
    result = trial(Case(REFINE), world=world).done
    assert result.answer == "gold"
    assert result.samples[-1].text.endswith("I give up.")
