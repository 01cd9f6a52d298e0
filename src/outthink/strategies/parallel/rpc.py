"""RPC: answers vote with the model's own probability of each distinct path, and improbable paths are not heard.

Paper: "A Theoretical Study on Bridging Internal Probability and Self-Consistency for LLM Reasoning", arXiv:2510.15444.
The paper writes the probability p(t|x) of a path, its code takes one over the perplexity, exp(mean log-probability), because
that of a long path underflows; so do we. prune: "mixture" (the paper's), "mean" (a rule without a fit), "none".
Differs from the official code: a path counts once by its text, where the code counts the same text again if its probability was
reported differently (compat=True does as the code); with fewer than five paths, or equal ones, nothing is pruned, where the
code's fit is singular; invalid answers are in no fit.
"""

from __future__ import annotations

import math

from outthink.core.capability import Needs
from outthink.core.errors import UnknownName
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import confidence, pruning
from outthink.parts.anytime import offered
from outthink.parts.recordings import repeats
from outthink.parts.voting import Scores, growing


@strategy(
    "rpc",
    paper="arXiv:2510.15444",
    title="A Theoretical Study on Bridging Internal Probability and Self-Consistency for LLM Reasoning",
    needs={Needs.LOGPROBS},
)
async def rpc(
    run: Run, problem: Problem, n: int | None = None, prune: str = "mixture", compat: bool = False, quorum: int = 1
) -> Selection:
    """The answer with the highest sum of probabilities of its distinct paths, once improbable ones are pruned."""
    if prune not in pruning.RULES:
        raise UnknownName("pruning rule of rpc", prune, pruning.RULES)
    samples = await run.generate(problem, n, quorum=quorum, logprobs=LogprobNeed())
    answers = await run.answers(problem, samples)
    logprobs = confidence.mean_logprob(samples).values
    # A path of probability 0 to the last digit is still a path.
    sureness = [None if each is None else max(math.exp(each), 1e-300) for each in logprobs]
    again = repeats(samples)
    known = list(zip((sample.whole for sample in samples), logprobs, strict=True))
    if compat:
        again = [copy and pair in known[:at] for at, (copy, pair) in enumerate(zip(again, known, strict=True))]

    def weigh(heard: Scores) -> list[float | None]:
        stays = pruning.RULES[prune](heard)
        return [q if stay and not copy else None for q, stay, copy in zip(heard, stays, again, strict=False)]

    return offered(run, samples, growing(samples, answers, sureness, weigh=weigh))
