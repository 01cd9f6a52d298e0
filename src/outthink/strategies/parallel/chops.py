"""CHOPS: one call writes a checklist, holds every sample against it and names the best (checklisted one-pass selection).

Paper: "When Life Gives You Samples: The Benefits of Scaling up Inference Compute for Multilingual LLMs", arXiv:2506.20544
(n = 5 with one greedy sample, temperature 0.7, the judge a stronger model, or the generator itself).
The paper's prompt is not published: ours asks for the same things. Candidates are shuffled and the choice mapped back; a reply
that can't be read leaves the greedy sample (the first valid one). Nothing is asked about a single candidate.
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
from outthink.parts.hedging import temperatures


@strategy(
    "chops",
    paper="arXiv:2506.20544",
    title="When Life Gives You Samples: The Benefits of Scaling up Inference Compute for Multilingual LLMs",
    roles={"judge": {Needs.CHAT}},
    curve=False,
)
async def chops(
    run: Run, problem: Problem, n: int | None = None, hedge: bool = True, judge_tokens: int = 1024, quorum: int = 1
) -> Selection:
    """The one of n samples, one of them greedy, that a judge finds best by a checklist of its own."""
    whole("judge_tokens", judge_tokens, 1)
    samples = await drawn_to_score(run, problem, n, judged=True, quorum=quorum, temperatures=temperatures(hedge))
    answers = await run.answers(problem, samples)
    valid = [(sample, answer) for sample, answer in zip(samples, answers, strict=True) if answer.valid]
    found = choosing.chosen(*valid[0]) if valid else Selection(None)
    run.offer(found)
    if len(valid) > 1:
        run.rng().shuffle(valid)
        found = await choosing.picked(run, problem, choosing.CHECKLIST, valid, found, judge_tokens, "chops")
    return found
