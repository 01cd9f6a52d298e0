"""Hedged sampling: one greedy sample beside n - 1 drawn ones, then a vote.

Paper: "When Life Gives You Samples: The Benefits of Scaling up Inference Compute for Multilingual LLMs", arXiv:2506.20544
(n = 5, temperature 0.7). Outside English quality falls earlier with temperature; the greedy sample bounds the loss.
The paper chooses by `chops` or `xmbr`, which draw the same samples; the vote is the baseline for closed answers. The greedy
sample comes first, so it wins ties, as the paper has it. hedge=False draws all n: plain majority.
"""

from __future__ import annotations

from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.anytime import offered
from outthink.parts.hedging import temperatures
from outthink.parts.voting import growing


@strategy(
    "hedged",
    paper="arXiv:2506.20544",
    title="When Life Gives You Samples: The Benefits of Scaling up Inference Compute for Multilingual LLMs",
)
async def hedged(run: Run, problem: Problem, n: int | None = None, hedge: bool = True, quorum: int = 1) -> Selection:
    """The most frequent answer of one greedy and n - 1 drawn samples."""
    samples = await run.generate(problem, n, quorum=quorum, temperatures=temperatures(hedge))
    return offered(run, samples, growing(samples, await run.answers(problem, samples)))
