"""AB-MCTS as a whole: forced choices are repeated sampling and refinement, batches change nothing but their order, bad scores."""

from __future__ import annotations

from typing import Any

import pytest

from outthink.core.errors import BadInput
from outthink.core.sample import Sample
from outthink.core.selection import Result, Stop
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trials import WORLD
from outthink.testing.worlds import ToyVerifier

SCORES = {"gold": 0.9, "lead": 0.6, "tin": 0.2}


def run(strategy: str, scores: dict[str, float] | None = None, seed: int = 0, **parameters: Any) -> Result:
    async def main() -> Result:
        verifier = ToyVerifier(scores or SCORES)
        async with Session(SimulatedBackend(WORLD, seed=seed), task=WORLD.task, verifier=verifier, seed=seed) as session:
            return await session.solve(WORLD.problems[0], strategy, **parameters)

    return run_virtually(main())


def fresh(samples: tuple[Sample, ...]) -> int:
    """Answers that were not refined: refining asks with a longer prompt."""
    least = min(sample.usage.prompt_tokens for sample in samples)
    return sum(sample.usage.prompt_tokens == least for sample in samples)


@pytest.mark.parametrize("strategy", ["ab_mcts_a", "ab_mcts_m"])
def test_it_draws_and_refines(strategy: str) -> None:
    found = run(strategy, n=24)
    assert found.usage.samples == 24
    assert 1 <= fresh(found.samples) < 24
    assert (found.answer, found.confidence) == ("gold", pytest.approx(0.9))


@pytest.mark.parametrize("strategy", ["ab_mcts_a", "ab_mcts_m"])
def test_answers_at_once(strategy: str) -> None:
    found = run(strategy, n=10, width=4)
    assert found.usage.samples == 10
    assert fresh(found.samples) >= 4, "nothing is known yet when the first four are asked for"


def test_a_budget_is_filled() -> None:
    found = run("ab_mcts_a", budget="7 samples")
    assert (found.usage.samples, found.stop) == (7, Stop.BUDGET)


def test_scores_outside_the_unit_interval_are_refused() -> None:
    with pytest.raises(BadInput, match=r"not in \[0, 1\]"):
        run("ab_mcts_a", {"gold": 7.0, "lead": 5.0, "tin": 3.0}, n=4)
