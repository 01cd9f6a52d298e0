"""Our particle filter and beam search decide as its_hub's do, given the same steps and the same random numbers.

its_hub lives in an environment of its own (`make peers`); without it these tests are skipped. Where the two differ on purpose
is said at each test.
"""

from __future__ import annotations

import importlib
import json
import math
import random
import subprocess
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from outthink import catalogue
from outthink.core.run import Run
from outthink.core.selection import Result
from outthink.parts.particles import Particle
from outthink.parts.resampling import relative, resampled
from outthink.testing.trees import Node, TreeWorld
from outthink.testing.trials import Case, trial

PEER = Path(__file__).parents[2] / ".peers" / "its_hub" / "bin" / "python"
PLAYER = Path(__file__).with_name("its_hub_player.py")

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not PEER.exists(), reason="its_hub has no environment here; `make peers` makes it"),
]

FAR = Node(0.6, 0.65, {"gold": Node(0.5, 0.7), "zinc": Node(0.5, 0.15)})
LEFT = Node(0.4, 0.8, {"gold": Node(0.4, 0.9), "lead": Node(0.6, 0.35)})
RIGHT = Node(0.4, 0.45, {"tin": Node(0.4, 0.3), "far": FAR})
UNEVEN = TreeWorld.grown({"uneven": ("gold", Node(below={"left": LEFT, "right": RIGHT, "lead": Node(0.2, 0.55)}))})


def side(name: str, score: float) -> Node:
    """Two steps of a tree whose answers all have three; no two answers so far have the same score."""
    parts = {part: score - 0.1 * at for at, part in enumerate("pq")}
    leaves = {part: {f"{name}{part}{at}": Node(0.25, top - 0.2 + 0.07 * at) for at in range(4)} for part, top in parts.items()}
    return Node(0.5, score, {part: Node(0.5, top, leaves[part]) for part, top in parts.items()})


EVEN = TreeWorld.grown({"even": ("xp0", Node(below={"x": side("x", 0.6), "y": side("y", 0.73)}))})


class Recorded(random.Random):
    """Random numbers, written down."""

    def __init__(self, source: random.Random, numbers: list[float]) -> None:
        super().__init__()
        self.setstate(source.getstate())
        self.numbers = numbers

    def random(self) -> float:
        self.numbers.append(super().random())
        return self.numbers[-1]


class Given:
    """These random numbers."""

    def __init__(self, numbers: Sequence[float]) -> None:
        self.numbers = iter(numbers)

    def random(self) -> float:
        return next(self.numbers)


def played(algorithm: str, world: TreeWorld, ours: Result, width: int, draws: Sequence[float]) -> dict[str, Any]:
    """What its_hub does with the steps of a run of ours."""
    rounds = [list(each) for _, each in groupby(ours.samples, key=lambda sample: sample.key.seq)]
    texts = {sample.whole for sample in ours.samples}
    nodes = {text: world.node(world.problems[0].id, text) for text in texts}
    script = {
        "algorithm": algorithm,
        "width": width,
        "rounds": [[sample.text for sample in each] for each in rounds],
        "draws": list(draws),
        "scores": {text: node.score for text, node in nodes.items() if node is not None},
    }
    done = subprocess.run([PEER, PLAYER], input=json.dumps(script), capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["asked"] == [[sample.prefix for sample in each] for each in rounds], "they went on from other answers"
    return found


@pytest.mark.parametrize("seed", range(6))
def test_particle_filtering(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # its_hub resamples once more when all have ended; the paper's own code, and ours, does not.
    numbers: list[float] = []
    populations: list[list[Particle]] = []
    module = importlib.import_module("outthink.strategies.particles.particle_filter")
    plain, conclude = Run.rng, module.conclude

    async def noted(run: Run, problem: Any, particles: list[Particle], rule: str) -> Any:
        populations.append(particles)
        return await conclude(run, problem, particles, rule)

    monkeypatch.setattr(Run, "rng", lambda run: Recorded(plain(run), numbers))
    monkeypatch.setattr(module, "conclude", noted)
    case = Case(catalogue.strategy("particle_filter"), {"width": 8, "resampling": "multinomial", "compat": True}, "tree")
    ours = trial(case, world=UNEVEN, seed=seed).done
    more = [at / 8 + 0.05 for at in range(8)]
    found = played("particle_filter", UNEVEN, ours, 8, [*numbers, *more])

    scores = [particle.trace.score or 0.0 for particle in populations[-1]]
    logits = [math.log(score / (1 - score)) for score in scores]
    parents = resampled("multinomial", relative(logits), 8, Given(more))
    texts = [populations[-1][parent].trace.text for parent in parents]
    assert found["answers"] == texts
    assert found["log_weights"] == pytest.approx([logits[parent] for parent in parents])
    assert found["chosen"] == texts[max(range(8), key=lambda at: logits[parents[at]])]
    assert ours.confidence == max(scores)


@pytest.mark.parametrize("seed", range(6))
def test_beam_search(seed: int) -> None:
    # One trace goes on, and all end at once: else its_hub starts with fewer traces, and stops with those that end first.
    case = Case(catalogue.strategy("beam_search"), {"width": 6, "branching": 6, "unique": False}, "tree")
    ours = trial(case, world=EVEN, seed=seed).done
    found = played("beam_search", EVEN, ours, 6, ())
    assert ours.selection is not None
    assert ours.selection.sample is not None
    assert found["chosen"] == ours.selection.sample.whole
