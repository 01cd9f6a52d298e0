"""REBASE: reward-balanced search. Each step's traces share the width by a softmax of their scores.

Paper: "Inference Scaling Laws: An Empirical Analysis of Compute-Optimal Inference for Problem-Solving with Language Models",
arXiv:2408.00724. It maximises nothing and targets no distribution: it explores in proportion to exp(score / temperature).
Differs from its code: nodes whose step fails are counted as failed samples instead of silently dropped.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.allocation import rebase as shared_out
from outthink.parts.frontier import arrived, parted
from outthink.parts.traces import ROOT, Trace, choose, grow, rate


@strategy(
    "rebase",
    paper="arXiv:2408.00724",
    title="Inference Scaling Laws: An Empirical Analysis of Compute-Optimal Inference for Problem-Solving with Language Models",
    needs={Needs.SCORES, Needs.STEPS},
)
async def rebase(run: Run, problem: Problem, width: int = 16, temperature: float = 0.2, rule: str = "weighted") -> Selection:
    """Share `width` next steps among the traces by exp(score / temperature); each that ends lowers the width by one."""
    if width < 1 or temperature <= 0:
        raise BadInput("width must be 1 or more, and the temperature above 0", where="rebase")
    next_up, ended, chosen = [ROOT] * width, list[Trace](), await choose(run, problem, [], rule)
    while next_up:
        alive, done = parted(await rate(run, problem, arrived(await grow(run, problem, next_up))))
        if done:
            ended += done
            chosen = await choose(run, problem, ended, rule)
        if not alive or len(ended) >= width:
            break
        counts = shared_out([trace.score for trace in alive], width - len(ended), temperature)
        next_up = [trace for trace, count in zip(alive, counts, strict=True) for _ in range(count)]
    return chosen
