"""AB-MCTS-M: as `ab_mcts_a`, with one mixed model of all scores under a node in place of beliefs that are kept apart.

Paper: "Wider or Deeper? Scaling LLM Inference-Time Compute with Adaptive Branching Tree Search", arXiv:2503.04412. It maximises
the verifier's score, which its final choice therefore overfits.
Differs from the official code `treequest`: its sampler (NUTS) is replaced by a grid over the two deviations with all else in
closed form (`outthink.parts.beliefs.mixed`); scores outside [0, 1] are refused.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.adaptive_branching import modelled
from outthink.parts.branching_search import search


@strategy(
    "ab_mcts_m",
    paper="arXiv:2503.04412",
    title="Wider or Deeper? Scaling LLM Inference-Time Compute with Adaptive Branching Tree Search",
    needs={Needs.SCORES, Needs.CHAT},
    roles=lambda given: {role: {Needs.CHAT} for role in given["roles"]},
)
async def ab_mcts_m(
    run: Run,
    problem: Problem,
    n: int | None = None,
    roles: tuple[str, ...] = ("generator",),
    policy: str = "thompson",
    width: int = 1,
) -> Selection:
    """The best-scored of n answers, each fresh or refined as the mixed model of its node says."""
    return await search(run, problem, n, modelled, prior="gaussian", roles=roles, policy=policy, width=width)
