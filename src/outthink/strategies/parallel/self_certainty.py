"""Self-certainty: choose by the model's own confidence in its tokens, without any verifier.

Paper: "Scalable Best-of-N Selection for Large Language Models via Self-Certainty", arXiv:2502.18581 (Borda votes, p = 0.5 in
its code, tuned per n in the paper; p = 0 is majority).
Differs from the official code: it reads all of the vocabulary, servers give the `top` most probable tokens, so this is the
approximated form (see `outthink.parts.confidence.self_certainty`); equal confidences share their ranks' weights; prefixes vote
anew, because each new sample moves the ranks.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import confidence, weights
from outthink.parts.anytime import offered
from outthink.parts.voting import Best, growing


@strategy(
    "self_certainty",
    paper="arXiv:2502.18581",
    title="Scalable Best-of-N Selection for Large Language Models via Self-Certainty",
    needs={Needs.TOP_LOGPROBS},
)
async def self_certainty(
    run: Run, problem: Problem, n: int | None = None, rule: str = "borda", p: float = 0.5, top: int = 20, quorum: int = 1
) -> Selection:
    """The answer that n samples give most confidently: by Borda votes (rule borda), or the surest sample's (rule best)."""
    if rule not in ("borda", "best"):
        raise UnknownName("rule of self_certainty", rule, ("borda", "best"))
    if top < 1 or not 0 <= p <= weights.MOST_P:
        raise BadInput(f"top must be 1 or more, p between 0 and {weights.MOST_P}", where="self_certainty")
    samples = await run.generate(problem, n, quorum=quorum, logprobs=LogprobNeed(top=top))
    answers = await run.answers(problem, samples)
    sure = confidence.self_certainty(samples).values
    if rule == "best":
        return offered(run, samples, growing(samples, answers, sure, tally=Best))
    return offered(run, samples, growing(samples, answers, sure, weigh=lambda scores: weights.borda(scores, p)))
