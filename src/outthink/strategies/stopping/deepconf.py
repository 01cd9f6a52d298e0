"""DeepConf, offline: of n whole samples the surest vote, each as heavy as it is sure.

Paper: "Deep Think with Confidence", arXiv:2508.15260 (512 samples, windows of 2048 tokens, keep 10% or 90%). form: "bottom"
(the least sure tenth of groups), "tail", "least", "mean". keep=1 is a vote by confidence.
Differs from the official code: invalid answers have no part in the percentile; confidences are not rounded to 3 decimals. Which
form helps differs by model, and below plain majority has been seen: compare them on recorded samples first.
"""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts import confidence
from outthink.parts.anytime import offered
from outthink.parts.voting import growing


@strategy("deepconf", paper="arXiv:2508.15260", title="Deep Think with Confidence", needs={Needs.TOP_LOGPROBS})
async def deepconf(
    run: Run,
    problem: Problem,
    n: int | None = None,
    form: str = "bottom",
    keep: float = 0.1,
    window: int = 2048,
    top: int = 20,
    quorum: int = 1,
) -> Selection:
    """The answer that the surest of n samples vote for."""
    if form not in confidence.FORMS:
        raise UnknownName("form of confidence of deepconf", form, confidence.FORMS)
    if not 0 < keep <= 1 or window < 1 or top < 1:
        raise BadInput(
            f"keep = {keep} must be above 0 and at most 1, window = {window} and top = {top} 1 or more", where="deepconf"
        )
    samples = await run.generate(problem, n, quorum=quorum, logprobs=LogprobNeed(top=top, window=window))
    answers = await run.answers(problem, samples)
    sure = confidence.grouped(samples, form, "deepconf")
    return offered(run, samples, growing(samples, answers, sure, weigh=lambda heard: confidence.surest(heard, keep)))
