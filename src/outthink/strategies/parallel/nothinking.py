"""NoThinking: begin the answer after an empty thought, so that a reasoning model answers at once, and choose among many.

Paper: "Reasoning Models Can Be Effective Without Thinking", arXiv:2504.09858. No official code is known.
The marks of the thinking block are the model's own where its backend knows its template (which may open the block itself),
else <think> and </think>; `opening` and `closing` set others. rule: "majority", or by self-certainty: "borda" votes (the paper's
for answers that can be matched; its p isn't stated) or "best", the surest sample (for those that can't).
tokens=b is the paper's budget forcing: a sample cut at b tokens is asked for its answer after `lead` (a "\\boxed{" may end it),
with the block closed first if a model thinks all the same. Forced answers are samples of their own, and charged.
"""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample, Samples
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.core.thinking import CLOSING, OPENING
from outthink.parts import confidence, thinking, weights
from outthink.parts.anytime import offered
from outthink.parts.voting import Best, growing

RULES = ("majority", "borda", "best")


@strategy(
    "nothinking",
    paper="arXiv:2504.09858",
    title="Reasoning Models Can Be Effective Without Thinking",
    needs={Needs.PREFIX},
)
async def nothinking(
    run: Run,
    problem: Problem,
    n: int | None = None,
    rule: str = "majority",
    p: float = 0.5,
    top: int = 20,
    tokens: int | None = None,
    answer_tokens: int = 64,
    lead: str = "Final Answer: ",
    thought: str = thinking.FINISHED,
    opening: str | None = None,
    closing: str | None = None,
    quorum: int = 1,
) -> Selection:
    """The answer of n samples without thinking: by majority, Borda votes of their self-certainty, or the surest one's."""
    if rule not in RULES:
        raise UnknownName("rule of nothinking", rule, RULES)
    if min(top, answer_tokens, *([] if tokens is None else [tokens])) < 1 or not 0 <= p <= weights.MOST_P:
        raise BadInput(f"top, tokens and answer_tokens must be 1 or more, p between 0 and {weights.MOST_P}", where="nothinking")
    own = run.thinking() or (OPENING, CLOSING)
    marks = own[0] if opening is None else opening, own[1] if closing is None else closing
    prompt = run.prompt(problem).continued(thinking.skipped(thought, *marks))
    need = None if rule == "majority" else LogprobNeed(top=top)
    samples = await run.generate(prompt, n, quorum=quorum, logprobs=need, max_tokens=tokens)
    ended: Sequence[Sample] = samples
    if tokens is not None:
        ended = await _forced(run, run.prompt(problem), samples, lead, marks, answer_tokens)
    answers = await run.answers(problem, ended)
    if rule == "majority":
        return offered(run, samples, growing(ended, answers))
    sure = confidence.self_certainty(samples).values
    if rule == "best":
        return offered(run, samples, growing(ended, answers, sure, tally=Best))
    return offered(run, samples, growing(ended, answers, sure, weigh=lambda scores: weights.borda(scores, p)))


async def _forced(run: Run, prompt: Prompt, samples: Samples, lead: str, marks: tuple[str, str], max_tokens: int) -> list[Sample]:
    """The samples, those that were cut with the answer that they were made to give; one whose answer never arrived as it was."""
    found = list(samples)
    cut = [at for at, sample in enumerate(samples) if sample.finish is Finish.LENGTH]
    if not cut:
        return found
    # The prefix closed the block it opened: only a block that the model opened itself may be open.
    asked = [prompt.continued(samples[at].whole + thinking.closed(samples[at].text, *marks) + lead) for at in cut]
    for reply in await run.generate(asked, quorum=0, max_tokens=max_tokens):
        found[cut[reply.key.index]] = reply
    return found
