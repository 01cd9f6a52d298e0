"""X-MBR: the sample that is best on average against all others, and against samples in another language (cross-lingual MBR).

Paper: "When Life Gives You Samples: The Benefits of Scaling up Inference Compute for Multilingual LLMs", arXiv:2506.20544
(n = 5 with one greedy sample, m = 3 evidence samples in English, or in Chinese for English requests). m = 0 is MBR.
utility: "judge" is the paper's (each pair in both orders, which cancels a judge's liking for the first: n (n - 1) + 2 n m calls);
"answers" is 1 for equal answers (with m = 0 the majority vote) and "chrf" overlap of characters: both are free, and chrF says
nothing across languages. The paper's prompts and scale are not published. A sample is evidence for itself (a judge's tie);
of equal utilities the higher sum of its answer's wins, then the first: the greedy one. It chooses once among all samples.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.given import whole
from outthink.core.problem import Problem
from outthink.core.run import MOST_AT_ONCE, Run
from outthink.core.sample import Sample
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import choosing, utilities
from outthink.parts.anytime import drawn_to_score
from outthink.parts.hedging import temperatures
from outthink.parts.voting import Best, growing

UTILITIES = ("judge", "answers", "chrf")


@strategy(
    "xmbr",
    paper="arXiv:2506.20544",
    title="When Life Gives You Samples: The Benefits of Scaling up Inference Compute for Multilingual LLMs",
    roles={"judge": {Needs.CHAT}},
    curve=False,
)
async def xmbr(
    run: Run,
    problem: Problem,
    n: int | None = None,
    m: int = 3,
    language: str = "English",
    utility: str = "judge",
    hedge: bool = True,
    judge_tokens: int = 256,
    quorum: int = 1,
) -> Selection:
    """The one of n samples with the highest mean utility against all of them and m samples in another language."""
    if utility not in UTILITIES:
        raise UnknownName("utility of xmbr", utility, UTILITIES)
    if not 0 <= m <= MOST_AT_ONCE or (m and not language):
        raise BadInput(f"m is {m} and must be from 0 to {MOST_AT_ONCE:,}, with a language", where="xmbr")
    judged = utility == "judge" or m > 0  # a part of the budget is left for what follows
    whole("judge_tokens", judge_tokens, 1)
    samples = await drawn_to_score(run, problem, n, judged=judged, quorum=quorum, temperatures=temperatures(hedge))
    answers = await run.answers(problem, samples)
    *_, majority = growing(samples, answers)
    run.offer(majority)
    at = [place for place, answer in enumerate(answers) if answer.valid]
    if len(at) < 2:
        return majority
    candidates = [samples[place] for place in at]
    cross = await run.generate(choosing.in_language(run.prompt(problem), language), m, quorum=0) if m else ()
    utilities_found = await _expected(run, problem, candidates, [*candidates, *cross], utility, judge_tokens)
    *_, found = growing(candidates, [answers[place] for place in at], utilities_found, tally=Best)
    run.offer(found)
    return found


async def _expected(
    run: Run, problem: Problem, candidates: list[Sample], evidence: list[Sample], utility: str, judge_tokens: int
) -> list[float]:
    size = len(candidates), len(evidence)
    if utility == "answers":
        classes = [answer.answer_class for answer in await run.answers(problem, evidence)]
        return utilities.expected(utilities.matches(classes, classes), *size)
    texts = choosing.shown(evidence, "xmbr")
    if utility == "chrf":
        return utilities.expected(lambda y, e: utilities.chrf(texts[y], texts[e]), *size)
    table = await choosing.preferences(run, problem, texts, len(candidates), judge_tokens)
    return utilities.expected(lambda y, e: table[y, e], *size)
