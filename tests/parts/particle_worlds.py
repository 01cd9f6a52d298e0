"""Sweeps through small trees without a run, so that thousands of them can be compared with exact laws."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from outthink.core.errors import NoAnswer
from outthink.core.key import Key
from outthink.core.sample import Finish, Sample
from outthink.parts.particles import Sweep
from outthink.parts.traces import ROOT, Trace
from outthink.testing.trees import Node

TOY = Node(
    below={
        "A": Node(0.5, 0.8, {"A0": Node(0.5, 0.2), "A1": Node(0.5, 0.9)}),
        "B": Node(0.5, 0.4, {"B0": Node(0.5, 0.6), "B1": Node(0.5, 0.6)}),
    }
)
"""Two steps, as the cards of the two papers have it."""

UNEVEN = Node(
    below={
        "a": Node(0.4, 0.7, {"gold": Node(0.5, 0.8), "c": Node(0.3, 0.2, {"tin": Node(0.6, 0.9), "gold": Node(0.4, 0.6)})}),
        "b": Node(0.3, 0.3, {"tin": Node(0.7, 0.5), "lead": Node(0.3, 0.85)}),
        "lead": Node(0.2, 0.4),
    }
)
"""Answers after one to three steps; with probability 0.1, or 0.08 later, it ends without one and without a score."""

_KEY = Key("run")


def stepped(root: Node, trace: Trace, chance: random.Random) -> Trace:
    """A trace with one more step of the tree; its text is the path of names."""
    node = root
    for name in filter(None, trace.text.split("/")):
        node = node.below[name]
    drawn = chance.random()
    for name, child in node.below.items():
        if drawn < child.chance:
            return _moved(trace, name, child)
        drawn -= child.chance
    return _moved(trace, "?", Node())


def _moved(trace: Trace, name: str, node: Node) -> Trace:
    ended = None if node.below else Finish.EOS
    step = Sample(_KEY, f"{name}/", ended or Finish.STOP, 1, prefix=trace.text)
    return Trace((*trace.steps, step), (*trace.scores, node.score), ended)


def along(root: Node, path: Iterable[str]) -> Trace:
    """The trace of a whole path."""
    node, trace = root, ROOT
    for name in path:
        node = node.below[name]
        trace = _moved(trace, name, node)
    return trace


def swept(sweep: Sweep, root: Node, chance: random.Random, fails: float = 0.0) -> Sweep:
    """Take a sweep to its end; each step but the first of several fails with some probability."""
    while sweep.open:
        grown = [
            None if at and chance.random() < fails else stepped(root, trace, chance) for at, trace in enumerate(sweep.growing())
        ]
        sweep.take(iter(grown), chance)
    return sweep


def estimated(sweep: Sweep, root: Node, chance: random.Random) -> tuple[float, dict[str, float]]:
    """A swept population's estimates of the normalising constant and of each answer's part; 0 where no weight is left."""
    try:
        swept(sweep, root, chance)
    except NoAnswer:
        return 0.0, {}
    return math.exp(sweep.log_evidence), masses(sweep)


def answer(trace: Trace) -> str:
    """The leaf that a trace ended in."""
    return trace.text.split("/")[-2]


def masses(sweep: Sweep) -> dict[str, float]:
    """Weights by answer, divided by the places."""
    found: dict[str, float] = {}
    for particle in sweep.particles:
        name = answer(particle.trace)
        found[name] = found.get(name, 0.0) + math.exp(particle.log_weight) / sweep.size
    return found


def probability_of(found: Iterable[str], law: Mapping[str, float]) -> float:
    """The p-value of Pearson's chi-square test of independent draws against a law."""
    from scipy.stats import chisquare

    counts = Counter(found)
    assert set(counts) <= set(law), "something that can't be drawn was drawn"
    total = sum(counts.values())
    return float(chisquare([counts[name] for name in law], [total * share for share in law.values()]).pvalue)


def apart(found: Sequence[float], wanted: float) -> float:
    """How many standard errors a mean is from what it should be."""
    mean = math.fsum(found) / len(found)
    variance = math.fsum((each - mean) ** 2 for each in found) / (len(found) - 1)
    return abs(mean - wanted) / math.sqrt(variance / len(found)) if variance else math.inf if mean != wanted else 0.0
