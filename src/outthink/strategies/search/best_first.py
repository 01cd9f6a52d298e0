"""Best-first search by the model's own probability, with a checker that says which steps fail and which answers are proved.

Paper: "Scaling up Multi-Turn Off-Policy RL and Multi-Agent Tree Search for LLM Step-Provers" (BFS-Prover-V2), arXiv:2509.06493:
its search for one attempt; the priority is the summed log-probability of the steps (each the mean of its tokens') over
depth ** alpha. It targets no distribution: it looks for any proved answer, first where the model would.
Differs: any verifier is the checker (the paper's is Lean): a score of at most `failed` closes a step, a whole answer of at least
`proved` ends the search. Out of expansions before any answer has ended, the most probable one is simply finished. Planner and
proof cache are not here. Answers are texts, so states don't meet again.
"""

from __future__ import annotations

import heapq

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, NoAnswer
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.expanding import expanded, finished
from outthink.parts.frontier import arrived, distinct, parted
from outthink.parts.traces import ROOT, Trace, choose, rate


@strategy(
    "best_first",
    paper="arXiv:2509.06493",
    title="Scaling up Multi-Turn Off-Policy RL and Multi-Agent Tree Search for LLM Step-Provers",
    needs={Needs.SCORES, Needs.STEPS, Needs.LOGPROBS},
)
async def best_first(
    run: Run,
    problem: Problem,
    branching: int = 4,
    alpha: float = 2.0,
    expansions: int = 64,
    failed: float = 0.0,
    proved: float = 1.0,
) -> Selection:
    """Expand the most probable answer so far (length-normalised by depth ** alpha), until one is proved."""
    if min(branching, expansions) < 1 or alpha < 0 or failed >= proved:
        raise BadInput("branching and expansions must be 1 or more, alpha 0 or more, failed below proved", where="best_first")
    opened, seen, pushed = [(0.0, 0, ROOT)], {ROOT.text}, 0
    ended, chosen, failures = list[Trace](), Selection(None), list[str]()
    for _ in range(expansions):
        if not opened:
            break
        _, _, parent = heapq.heappop(opened)
        alone = not opened and not ended
        grown = await expanded(run, problem, [parent] * branching, failures, alone=alone, logprobs=LogprobNeed())
        children = await rate(run, problem, [child for child in distinct(arrived(grown)) if child.text not in seen])
        alive, done = parted(children)
        seen.update(child.text for child in children)
        for child in alive:
            if child.rank > failed:
                pushed += 1
                summed = sum(step.summary.get("mean_logprob", 0.0) for step in child.steps)
                heapq.heappush(opened, (-summed * child.depth**-alpha, pushed, child))
        if done:
            ended += done
            chosen = await choose(run, problem, ended)
        if any(trace.rank >= proved for trace in done):
            break
    if not ended and not opened:
        raise NoAnswer(f"every step was closed: none has a score above failed={failed}; give a lower one if this is no failure")
    last = chosen if ended else None
    while last is None:
        last = await finished(run, problem, heapq.heappop(opened)[-1], failures, alone=not opened)
    return last
