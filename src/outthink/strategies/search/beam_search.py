"""Beam search over steps: grow `width` traces by one step, keep the best of them, grow those again.

Paper: "Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model Parameters", arXiv:2408.03314; the rules
are those of the code base `search-and-learn`. With `lookahead` it is the paper's lookahead search, which costs as many steps
again for each one kept or not. It maximises the verifier's score; it targets no distribution.
Differs from that code: a trace that has ended is told from one that reached its token limit; all that have ended choose, where
that code cuts them, or repeats them, to `width`; a step that fails loses its trace only; a lookahead is scored, not only made.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.frontier import arrived, best, distinct, parted, repeated
from outthink.parts.lookahead import rate_ahead
from outthink.parts.traces import ROOT, Trace, choose, grow


@strategy(
    "beam_search",
    paper="arXiv:2408.03314",
    title="Scaling LLM Test-Time Compute Optimally can be More Effective than Scaling Model Parameters",
    needs={Needs.SCORES, Needs.STEPS},
)
async def beam_search(
    run: Run,
    problem: Problem,
    width: int = 8,
    branching: int = 4,
    lookahead: int = 0,
    rule: str = "best",
    unique: bool = True,
) -> Selection:
    """Grow `width` traces at a time, of which the best width / branching go on; `unique` keeps one of equal traces."""
    if min(width, branching) < 1 or lookahead < 0 or width % min(width, branching):
        raise BadInput("width must be a multiple of branching, both 1 or more; lookahead 0 or more", where="beam_search")
    alive, ended, chosen = [ROOT], list[Trace](), await choose(run, problem, [], rule)
    while alive:
        grown = arrived(await grow(run, problem, repeated(alive, width)))
        alive, done = parted(await rate_ahead(run, problem, grown, lookahead))
        if done:
            ended += done
            chosen = await choose(run, problem, ended, rule)
        alive = best(distinct(alive) if unique else alive, max(1, width // branching))
    return chosen
