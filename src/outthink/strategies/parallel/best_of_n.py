"""Best-of-n: the answer of the sample that a verifier scores highest.

Paper: "Training Verifiers to Solve Math Word Problems", arXiv:2110.14168.
Differs from common codes: a sample without a valid answer or without a score can't win; of answers that share the highest score
the one with the higher sum of scores wins (so a verifier that only says yes or no lets the yes votes count), then the first.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.anytime import drawn_to_score, offered, scored
from outthink.parts.voting import Best, growing


@strategy(
    "best_of_n",
    paper="arXiv:2110.14168",
    title="Training Verifiers to Solve Math Word Problems",
    needs={Needs.SCORES},
)
async def best_of_n(run: Run, problem: Problem, n: int | None = None, quorum: int = 1) -> Selection:
    """The answer of the highest-scored of n samples."""
    samples = await drawn_to_score(run, problem, n, quorum=quorum)
    answers = await run.answers(problem, samples)
    scores = await scored(run, problem, samples, answers)
    return offered(run, samples, growing(samples, answers, scores, tally=Best))
