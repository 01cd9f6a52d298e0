"""UCT over traces: the loop of MCTS, with or without hints for each expansion."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.parts.frontier import arrived, distinct
from outthink.parts.traces import ROOT, Trace, choose, grow, rate
from outthink.parts.value_tree import Node

Hints = Callable[[Trace], Awaitable[Prompt]]
"""The prompt under which a trace is expanded."""


async def tree_search(
    run: Run,
    problem: Problem,
    *,
    simulations: int,
    branching: int,
    exploration: float,
    rollout: bool,
    rule: str,
    hints: Hints | None = None,
) -> Selection:
    """Select, expand by `branching` distinct steps, value, back up; then the ended traces choose by `rule`.

    A simulation that ends at an ended trace backs its value up again. One whose expansion gives nothing backs up 0.
    Raises BadInput, UnknownName, and what generating and scoring raise.
    """
    if min(simulations, branching) < 1 or exploration < 0:
        raise BadInput("simulations and branching must be 1 or more, exploration 0 or more", where="tree search")
    root, ended, chosen = Node(ROOT), list[Trace](), await choose(run, problem, [], rule)
    for _ in range(simulations):
        node = root.descend(exploration)
        if not node.expanded and node.trace.ended is None and (node.visits or node is root):
            start = None if hints is None else await hints(node.trace)
            grown = distinct(arrived(await grow(run, problem, [node.trace] * branching, start=start)))
            rated = await rate(run, problem, grown)
            node.expanded, node.children = True, [Node(trace, node) for trace in rated]
            if done := [trace for trace in rated if trace.ended is not None]:
                ended += done
                chosen = await choose(run, problem, ended, rule)
            if node.children:
                node = node.chosen(exploration)
        trace = node.trace
        if rollout and trace.ended is None and node is not root:
            finished = await rate(run, problem, arrived(await grow(run, problem, [trace], to_end=True)))
            ended += finished
            chosen = await choose(run, problem, ended, rule)
            trace = finished[0] if finished else trace
        node.back_up(trace.score or 0.0)
    return chosen
