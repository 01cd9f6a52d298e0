"""Universal self-consistency: the model itself says which of its samples agrees best with the others, also in free-form text.

Paper: "Universal Self-Consistency for Large Language Model Generation", arXiv:2311.17311 (n = 8, temperature 0.6 to 1.2, the
choice greedy). One call of the role "judge" (the generator itself, if nothing else is bound) sees all samples.
Differs from common codes: invalid answers and thinking blocks are not shown; nothing is asked where all answers are of one
class; a reply that can't be read leaves the majority (for texts that all differ: the first), the codes take the first.
It chooses once among all samples.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.given import whole
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import choosing
from outthink.parts.anytime import drawn_to_score
from outthink.parts.voting import growing


@strategy(
    "universal_self_consistency",
    paper="arXiv:2311.17311",
    title="Universal Self-Consistency for Large Language Model Generation",
    roles={"judge": {Needs.CHAT}},
    curve=False,
)
async def universal_self_consistency(
    run: Run, problem: Problem, n: int | None = None, judge_tokens: int = 256, quorum: int = 1
) -> Selection:
    """The one of n samples that the model calls most consistent with the others."""
    whole("judge_tokens", judge_tokens, 1)
    samples = await drawn_to_score(run, problem, n, judged=True, quorum=quorum)
    answers = await run.answers(problem, samples)
    *_, majority = growing(samples, answers)
    run.offer(majority)
    valid = [(sample, answer) for sample, answer in zip(samples, answers, strict=True) if answer.valid]
    if len(majority.votes) < 2:
        return majority
    who = "universal_self_consistency"
    return await choosing.picked(run, problem, choosing.CONSISTENT, valid, majority, judge_tokens, who)
