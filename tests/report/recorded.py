"""Journals of real runs for the tests of what is shown of them: strategies on simulated models, in virtual time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import outthink
from outthink import catalogue
from outthink.core.capability import Needs
from outthink.core.selection import Result
from outthink.testing.simulated import CALM, Faults, Pace, SimulatedBackend
from outthink.testing.trees import Node, TreeVerifier, TreeWorld
from outthink.testing.trials import SCORES, TREES, UNEVEN, WORLD
from outthink.testing.worlds import Odds, ToyVerifier, World
from outthink.verifiers.judge import Judge

MANY = World({"p": Odds("a0", {f"a{at}": 0.9 / 60 for at in range(60)})}, words=(2, 12))
"""One problem with sixty answers."""


class Virtual(SimulatedBackend):
    """Runs in virtual time, so that nobody waits for it."""

    virtual = True


def recorded(
    journal: Path, strategy: str, *, world: World | None = None, verifier: Any = None, faults: Faults = CALM, **settings: Any
) -> Result:
    """Run a strategy as `outthink solve --journal` does; a strategy that needs a verifier gets the world's own."""
    needs = catalogue.strategy(strategy).needs
    world = world or (TREES if Needs.STEPS in needs else WORLD)
    if verifier is None and Needs.SCORES in needs:
        verifier = TreeVerifier(world) if isinstance(world, TreeWorld) else ToyVerifier(SCORES)
    if verifier == "judge":
        verifier = Judge()
    settings.setdefault("sampling", {"max_tokens": 40})
    pace = settings.pop("pace", UNEVEN)
    model = Virtual(world, pace=pace, faults=faults)
    return outthink.solve(
        world.problems[0], model=model, strategy=strategy, task=world.task, verifier=verifier, journal=journal, **settings
    )


def bushy(depth: int = 4, seed: int = 3) -> TreeWorld:
    """A tree of three steps each way, whose leaves state one of four answers."""
    chance = random.Random(seed)

    def below(left: int, name: str) -> dict[str, Node]:
        names = [f"{name}{letter}" for letter in "abc"] if left > 1 else chance.sample(["seven", "eight", "nine", "ten"], 3)
        return {each: Node(0.32, round(chance.random(), 2), below(left - 1, each) if left > 1 else {}) for each in names}

    return TreeWorld.grown({"hard": ("seven", Node(below=below(depth, "x")))})


def slow() -> Pace:
    """Replies that take seconds."""
    return Pace(0.5, 0.05, 0.5)
