"""Marker selection: samples with few words of doubt (or many of reasoning) decide.

Paper: "Think Deep, Think Fast: Investigating Efficiency of Verifier-free Inference-time-scaling Methods", arXiv:2504.14047.
The paper reports that right answers of reasoning models hold fewer hedging and thinking markers and more discourse markers, per
1,000 words; selecting by it, and the word lists, are ours (`outthink.parts.features`), no code is known. rule="vote" lets the
best part `keep` of the samples vote, rule="best" takes the best one alone. As with length, most of the gap lies between
problems, not within one.
"""

from __future__ import annotations

from outthink.core.errors import UnknownName
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.anytime import offered
from outthink.parts.features import rate
from outthink.parts.recordings import said
from outthink.parts.voting import growing
from outthink.parts.weights import ruled

PREFER = {"hedging": -1.0, "thinking": -1.0, "discourse": 1.0}
"""Whether fewer (-1) or more (1) of a kind of markers is better."""


@strategy(
    "marker_selected",
    paper="arXiv:2504.14047",
    title="Think Deep, Think Fast: Investigating Efficiency of Verifier-free Inference-time-scaling Methods",
)
async def marker_selected(
    run: Run,
    problem: Problem,
    n: int | None = None,
    marker: str = "hedging",
    rule: str = "vote",
    keep: float = 0.5,
    quorum: int = 1,
) -> Selection:
    """The answer of those of n samples with the fewest hedging or thinking markers, or the most discourse markers."""
    if marker not in PREFER:
        raise UnknownName("marker of marker_selected", marker, PREFER)
    by = ruled(rule, keep)
    samples = await run.generate(problem, n, quorum=quorum)
    answers = await run.answers(problem, samples)
    scores = [PREFER[marker] * rate(text, marker) for text in said(samples, "marker_selected")]
    return offered(run, samples, growing(samples, answers, scores, **by))
