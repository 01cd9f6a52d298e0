"""UCT over traces: the loop of MCTS, with or without hints for each expansion."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import MOST_AT_ONCE, Run
from outthink.core.selection import Selection
from outthink.parts.expanding import expanded, finished
from outthink.parts.frontier import arrived, distinct
from outthink.parts.traces import ROOT, Trace, choose, rate
from outthink.parts.value_tree import Node

Hints = Callable[[Trace], Awaitable[Prompt | None]]
"""The prompt under which a trace goes on; None: the task's."""


async def unhinted(_: Trace) -> None:
    """Every trace goes on under the task's prompt."""


async def begun(run: Run, problem: Problem, simulations: int, branching: int, exploration: float, rule: str) -> Selection:
    """The choice among no traces. Raises BadInput and UnknownName for wrong settings; nothing is asked for."""
    # Simulations that end where another did cost no tokens, so that no budget stops them.
    if not 1 <= simulations <= MOST_AT_ONCE or not 1 <= branching <= MOST_AT_ONCE or exploration < 0:
        allowed = f"simulations and branching must be from 1 to {MOST_AT_ONCE:,}, exploration 0 or more"
        raise BadInput(allowed, where="tree search")
    return await choose(run, problem, [], rule)


async def tree_search(
    run: Run,
    problem: Problem,
    *,
    simulations: int,
    branching: int,
    exploration: float,
    rollout: bool,
    rule: str,
    hints: Hints = unhinted,
) -> Selection:
    """Select, expand by `branching` distinct steps, value, back up; then the ended traces choose by `rule`.

    A simulation that ends at an ended trace backs its value up again. One whose expansion gives nothing backs up 0. Where no
    trace has ended by then, the most visited one is simply finished.
    Raises BadInput, UnknownName, and what generating and scoring raise.
    """
    chosen = await begun(run, problem, simulations, branching, exploration, rule)
    root, ended, failures = Node(ROOT), list[Trace](), list[str]()
    for _ in range(simulations):
        node = root.descend(exploration)
        if not node.expanded and node.trace.ended is None and (node.visits or node is root):
            parents = [node.trace] * branching
            grown = await expanded(run, problem, parents, failures, alone=node is root, start=await hints(node.trace))
            rated = await rate(run, problem, distinct(arrived(grown)))
            node.expanded, node.children = True, [Node(trace, node) for trace in rated]
            if done := [trace for trace in rated if trace.ended is not None]:
                ended += done
                chosen = await choose(run, problem, ended, rule)
            if node.children:
                node = node.chosen(exploration)
        if node.expanded and not node.children:
            node.back_up(0.0)
            continue
        trace = node.trace
        if rollout and trace.ended is None and node is not root:
            rolled = await expanded(run, problem, [trace], failures, alone=False, to_end=True, start=await hints(trace))
            whole = await rate(run, problem, arrived(rolled))
            ended += whole
            chosen = await choose(run, problem, ended, rule)
            trace = whole[0] if whole else trace
        node.back_up(trace.score or 0.0)
    last = chosen if ended else None
    while last is None:
        node, left = root.most_visited(), sum(not each.expanded for each in root.all())
        last = await finished(run, problem, node.trace, failures, alone=left <= 1, start=await hints(node.trace))
        node.expanded = True
    return last
