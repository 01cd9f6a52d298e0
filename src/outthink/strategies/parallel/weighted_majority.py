"""Weighted majority: answers vote with their verifier scores, so that agreement and quality both count.

Paper: the weighted sum of "Self-Consistency ...", arXiv:2203.11171, with a verifier's scores as in "Making Language Models
Better Reasoners with Step-Aware Verifier" (DiVeRSe), arXiv:2206.02336.
Differs from common codes: negative scores are refused rather than summed; scale="minmax" maps each problem's scores to [0, 1].
A sample without a score doesn't vote. Adding a constant to all scores changes the result, as it does in the papers.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import UnknownName
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import weights
from outthink.parts.anytime import drawn_to_score, offered, scored
from outthink.parts.voting import growing

SCALES = {"raw": None, "minmax": weights.minmax, "softmax": weights.softmax}


@strategy(
    "weighted_majority",
    paper="arXiv:2206.02336",
    title="Making Language Models Better Reasoners with Step-Aware Verifier",
    needs={Needs.SCORES},
)
async def weighted_majority(run: Run, problem: Problem, n: int | None = None, scale: str = "raw", quorum: int = 1) -> Selection:
    """The answer with the highest sum of scores among n samples; scale is raw, minmax or softmax."""
    if scale not in SCALES:
        raise UnknownName("scale of weighted_majority", scale, SCALES)
    samples = await drawn_to_score(run, problem, n, quorum=quorum)
    answers = await run.answers(problem, samples)
    scores = await scored(run, problem, samples, answers)
    return offered(run, samples, growing(samples, answers, scores, weigh=SCALES[scale]))
