"""Adaptive-Consistency: sample until the vote is settled.

Paper: "Let's Sample Step by Step: Adaptive-Consistency for Efficient Reasoning and Coding with LLMs", arXiv:2305.11860 (at most
40 samples, T 0.7, one at a time). rule: "beta" (the paper's choice), "dirichlet", "crp", "entropy", "share".
Differs from the official code: answers vote by class and invalid ones not at all, so they settle nothing; Dirichlet's integral
is computed instead of drawn; the code holds no CRP (see `outthink.parts.stopping.crp`); with batch > 1 samples come so many at
once, and up to batch - 1 of them are more than the rule needed. Votes that agree early on a wrong answer stop it too: `least`
sets how many must have been counted.
"""

from __future__ import annotations

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import stopping
from outthink.parts.drawing import Draws


@strategy(
    "adaptive_consistency",
    paper="arXiv:2305.11860",
    title="Let's Sample Step by Step: Adaptive-Consistency for Efficient Reasoning and Coding with LLMs",
)
async def adaptive_consistency(
    run: Run,
    problem: Problem,
    n: int | None = None,
    rule: str = "beta",
    threshold: float | None = None,
    batch: int = 1,
    least: int = 1,
    quorum: int = 1,
) -> Selection:
    """The majority of as many samples as settle it, at most n."""
    settled = stopping.rule(rule, threshold, "adaptive_consistency")
    if min(batch, least) < 1 or not 0 < settled.threshold <= 1:
        raise BadInput("batch and least must be 1 or more, threshold in (0, 1]", where="adaptive_consistency")
    draws = Draws(run, problem, n, quorum)
    while draws.open:
        await draws.more(batch)
        if draws.enough and sum(draws.counts) >= least and settled.sure(draws.counts) >= settled.threshold:
            break
    return draws.chosen()
