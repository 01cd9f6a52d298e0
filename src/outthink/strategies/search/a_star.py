"""A*-decoding: expand the answer so far with the least cost; every drop of the verifier's score is paid for ever.

Paper: "A*-Decoding: Token-Efficient Inference Scaling", arXiv:2505.13672. It targets no distribution: it returns the first whole
answer of least f = g + h, h = 1 - score; with edge_cost="consistent" f never falls along a path, and this is the least of all.
The paper doesn't pin down the edge cost, ties, or the root's score: all costs are here, deeper answers go first, and the root's
score is `root`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.expanding import expanded, finished
from outthink.parts.frontier import arrived, distinct
from outthink.parts.traces import ROOT, choose, rate

EDGE_COSTS: Mapping[str, Callable[[float, float], float]] = {
    "drop": lambda before, after: max(0.0, after - before),
    "consistent": lambda before, after: max(0.0, before - after),
    "zero": lambda before, after: 0.0,
    "length": lambda before, after: 1.0,
}
"""Cost of a step from the heuristics h before and after it."""


@strategy(
    "a_star",
    paper="arXiv:2505.13672",
    title="A*-Decoding: Token-Efficient Inference Scaling",
    needs={Needs.SCORES, Needs.STEPS},
)
async def a_star(
    run: Run,
    problem: Problem,
    branching: int = 4,
    width: int = 1,
    edge_cost: str = "drop",
    expansions: int = 64,
    root: float = 1.0,
) -> Selection:
    """Expand the `width` cheapest answers so far by `branching` steps each, until the cheapest one is whole."""
    if edge_cost not in EDGE_COSTS:
        raise UnknownName("edge cost", edge_cost, EDGE_COSTS)
    if min(branching, width, expansions) < 1:
        raise BadInput("branching, width and expansions must be 1 or more", where="a_star")
    paid, opened, seen = EDGE_COSTS[edge_cost], [(1 - root, 0, 0, 0.0, ROOT)], {ROOT.text}
    chosen, least, left, failures = Selection(None), math.inf, expansions, list[str]()
    while opened and left > 0 and least > opened[0][0]:
        popped = [heapq.heappop(opened) for _ in range(min(width, left, len(opened)))]
        left -= len(popped)
        parents = [(g, trace) for _, _, _, g, trace in popped for _ in range(branching)]
        alone = not opened and chosen.answer is None
        children = await expanded(run, problem, [trace for _, trace in parents], failures, alone=alone)
        costs = {child.text: g for (g, _), child in zip(parents, children, strict=True) if child is not None}
        for child in await rate(run, problem, distinct([child for child in arrived(children) if child.text not in seen])):
            seen.add(child.text)
            before = 1 - root if child.depth == 1 else 1 - (child.scores[-2] or 0.0)
            after = 1 - (child.score or 0.0)
            f = (g := costs[child.text] + paid(before, after)) + after
            if child.ended is None:
                heapq.heappush(opened, (f, -child.depth, len(seen), g, child))
            elif f < least and (found := await choose(run, problem, [child])).answer is not None:
                chosen, least = found, f
    last = None if chosen.answer is None else chosen
    while last is None and opened:  # out of expansions: the best answer so far is simply finished
        last = await finished(run, problem, heapq.heappop(opened)[-1], failures, alone=not opened)
    return last or chosen
