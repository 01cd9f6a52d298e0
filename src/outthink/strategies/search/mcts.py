"""Monte-Carlo tree search over steps: upper confidence chooses where to look, the verifier or a rollout says what it is worth.

Paper: the search of "Enhancing Test-Time Scaling of Large Language Models with Hierarchical Retrieval-Augmented MCTS" (R2-LLMs),
arXiv:2507.05557, without retrieval (`r2` has it): UCT, values of the verifier, means backed up. It maximises the verifier's
score, or that of rollouts, and targets no distribution.
The paper's abstract fixes no constants: exploration sqrt(2), four steps per expansion and the vote at the end are ours.
"""

from __future__ import annotations

import math

from outthink.core.capability import Needs
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.tree_search import tree_search


@strategy(
    "mcts",
    paper="arXiv:2507.05557",
    title="Enhancing Test-Time Scaling of Large Language Models with Hierarchical Retrieval-Augmented MCTS",
    needs={Needs.SCORES, Needs.STEPS},
)
async def mcts(
    run: Run,
    problem: Problem,
    simulations: int = 32,
    branching: int = 4,
    exploration: float = math.sqrt(2),
    rollout: bool = False,
    rule: str = "weighted",
) -> Selection:
    """So many simulations of UCT; a node's value is the verifier's score of it, or (rollout) of one answer finished from it."""
    return await tree_search(
        run, problem, simulations=simulations, branching=branching, exploration=exploration, rollout=rollout, rule=rule
    )
