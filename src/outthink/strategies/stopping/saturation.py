"""Saturation stop: sample until one more sample is expected to add less than it is worth.

Paper: "Scaling over Scaling: Exploring Test-Time Scaling Plateau in Large Reasoning Models", arXiv:2505.20522 (TTSPM). The
paper fits one rate p to a whole data set and foretells where its curve saturates; that is `outthink.laws`. Here each problem
has a rate of its own, learned on the way: p ~ Beta(solved, missed) before, plus one for each sample that agrees with the
leading answer or doesn't. Fit solved and missed (a beta-binomial law) and ceiling on problems alike; gain is the cost of a
sample over the value of an answer.
Differs from the paper: agreement stands in for being right, as nobody can tell that here, so a problem whose wrong answers
agree looks solved; and what saturates is the chance that the answer was sampled at all, which stops long before a close vote
is settled.
"""

from __future__ import annotations

from outthink.core.errors import BadInput
from outthink.core.given import LARGEST
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.drawing import Draws
from outthink.parts.stopping import expected_gain


@strategy(
    "saturation",
    paper="arXiv:2505.20522",
    title="Scaling over Scaling: Exploring Test-Time Scaling Plateau in Large Reasoning Models",
)
async def saturation(
    run: Run,
    problem: Problem,
    n: int | None = None,
    gain: float = 0.01,
    solved: float = 1.0,
    missed: float = 1.0,
    ceiling: float = 1.0,
    quorum: int = 1,
) -> Selection:
    """The majority of as many samples as are expected to be worth it, at most n."""
    if gain < 0 or not 0 < solved <= LARGEST or not 0 < missed <= LARGEST or not 0 < ceiling <= 1:
        raise BadInput("gain must be 0 or more, solved and missed above 0 and counts, ceiling in (0, 1]", where="saturation")
    draws = Draws(run, problem, n, quorum)
    while draws.open:
        await draws.more()
        agree, drawn = max(draws.counts, default=0), draws.asked
        if draws.enough and expected_gain(solved + agree, missed + (drawn - agree), drawn, ceiling) <= gain:
            break
    return draws.chosen()
