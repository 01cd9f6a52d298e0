"""Diverse verifier tree search: independent greedy subtrees, so that one early mistake of the verifier can't take all.

Paper: "Scaling Test-Time Compute with Open Models" (blog, 2024) and its code base `search-and-learn`; the idea of searching
with a verifier and the lookahead are of arXiv:2408.03314. It maximises the score inside each subtree; it targets no distribution.
Differs from that code: a subtree whose steps all fail ends; subtrees that are left with nothing don't void the others.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.frontier import arrived, best
from outthink.parts.lookahead import rate_ahead
from outthink.parts.traces import ROOT, Trace, choose, grow


@strategy(
    "dvts",
    paper="arXiv:2408.03314",
    title="Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model Parameters",
    needs={Needs.SCORES, Needs.STEPS},
)
async def dvts(
    run: Run, problem: Problem, width: int = 8, branching: int = 4, lookahead: int = 0, rule: str = "best"
) -> Selection:
    """width / branching subtrees, each of which keeps the best of `branching` next steps; all last candidates choose."""
    if min(width, branching) < 1 or lookahead < 0 or width % min(width, branching):
        raise BadInput("width must be a multiple of branching, both 1 or more; lookahead 0 or more", where="dvts")
    branching = min(branching, width)
    heads = [ROOT] * (width // branching)
    ended, chosen = list[Trace](), await choose(run, problem, [], rule)
    while heads:
        children = await grow(run, problem, [head for head in heads for _ in range(branching)])
        places = [at for at, child in enumerate(children) if child is not None]
        rated = dict(zip(places, await rate_ahead(run, problem, arrived(children), lookahead), strict=True))
        families = [
            [rated[at] for at in range(first, first + branching) if at in rated] for first in range(0, len(children), branching)
        ]
        leaders = [(best(family, 1)[0], family) for family in families if family]
        heads = [leader for leader, _ in leaders if leader.ended is None]
        done = [trace for leader, family in leaders if leader.ended is not None for trace in family if trace.ended is not None]
        if done:
            ended += done
            chosen = await choose(run, problem, ended, rule)
    return chosen
