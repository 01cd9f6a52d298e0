"""Length selection: the shortest (or longest) traces decide, since right answers of reasoning models tend to be shorter.

Paper: "Think Deep, Think Fast: Investigating Efficiency of Verifier-free Inference-time-scaling Methods", arXiv:2504.14047.
The paper reports that right answers are shorter; how to select by it is ours, no code is known: rule="vote" lets the `keep`
shortest part of the samples vote, rule="best" takes the shortest alone. Much of the gap it reports is problems' difficulty:
within one problem length says little (docs/evidence.md), so test it on your model before you rely on it.
"""

from __future__ import annotations

from outthink.core.errors import UnknownName
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.anytime import offered
from outthink.parts.features import lengths
from outthink.parts.voting import growing
from outthink.parts.weights import ruled

PREFER = {"shortest": -1.0, "longest": 1.0}


@strategy(
    "length_selected",
    paper="arXiv:2504.14047",
    title="Think Deep, Think Fast: Investigating Efficiency of Verifier-free Inference-time-scaling Methods",
)
async def length_selected(
    run: Run,
    problem: Problem,
    n: int | None = None,
    prefer: str = "shortest",
    rule: str = "vote",
    keep: float = 0.5,
    quorum: int = 1,
) -> Selection:
    """The answer of the shortest (or longest) of n samples: by a vote of the part `keep`, or the single one (rule best)."""
    if prefer not in PREFER:
        raise UnknownName("preference of length_selected", prefer, PREFER)
    by = ruled(rule, keep)
    samples = await run.generate(problem, n, quorum=quorum)
    answers = await run.answers(problem, samples)
    scores = [PREFER[prefer] * length for length in lengths(samples, "length_selected")]
    return offered(run, samples, growing(samples, answers, scores, **by))
