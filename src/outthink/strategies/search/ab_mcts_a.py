"""AB-MCTS-A: in a tree of whole answers, draws decide between a new answer (wider) and refining an old one (deeper).

Paper: "Wider or Deeper? Scaling LLM Inference-Time Compute with Adaptive Branching Tree Search", arXiv:2503.04412, with one
belief about a new answer and one about going on at each node, and one per child. It maximises the verifier's score, which its
final choice therefore overfits.
Differs from the official code `treequest`: the policy "stack" isn't here; the state is the run's journal, not a copied value;
scores outside [0, 1] are refused.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.adaptive_branching import aggregated
from outthink.parts.branching_search import search


@strategy(
    "ab_mcts_a",
    paper="arXiv:2503.04412",
    title="Wider or Deeper? Scaling LLM Inference-Time Compute with Adaptive Branching Tree Search",
    needs={Needs.SCORES, Needs.CHAT},
    roles=lambda given: {role: {Needs.CHAT} for role in given["roles"]},
)
async def ab_mcts_a(
    run: Run,
    problem: Problem,
    n: int | None = None,
    prior: str = "gaussian",
    roles: tuple[str, ...] = ("generator",),
    policy: str = "thompson",
    width: int = 1,
) -> Selection:
    """The best-scored of n answers, each fresh or refined as the beliefs of its node say."""
    return await search(run, problem, n, aggregated, prior=prior, roles=roles, policy=policy, width=width)
