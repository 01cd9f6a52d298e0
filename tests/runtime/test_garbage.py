"""A run that ended is freed at once: nothing of it refers to itself, so no search for cycles must stop a busy process for it."""

from __future__ import annotations

import gc

import pytest

from outthink.runtime.batch import Retry
from outthink.session import Session
from outthink.testing.simulated import CALM, Faults, SimulatedBackend
from outthink.testing.worlds import Odds, World

WORLD = World({"p": Odds("a", {"a": 0.6, "b": 0.4})})


@pytest.mark.parametrize(
    "strategy", ["single", "majority", "adaptive_consistency", "self_refine", "first_finish", "early_stopping_consistency"]
)
@pytest.mark.parametrize("faults", [CALM, Faults(refused=0.1, lost=0.2, withheld=0.1)])
async def test_nothing_of_ours_is_left_to_the_search_for_cycles(strategy: str, faults: Faults) -> None:
    retry = Retry(attempts=2, base=1e-4, longest=1e-3)
    async with Session(SimulatedBackend(WORLD, faults=faults), task=WORLD.task, retry=retry) as session:
        parameters = {"n": 8} if strategy in ("majority", "first_finish") else {}
        await session.solve(WORLD.problems[0], strategy, budget="8 samples", **parameters)
        gc.collect()
        gc.freeze()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(3):
                await session.solve(WORLD.problems[0], strategy, budget="8 samples", **parameters)
            gc.collect()
            left = [type(each).__name__ for each in gc.garbage if type(each).__module__.startswith("outthink.")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
            gc.unfreeze()
    assert left == []
