"""ESC: sample in windows, and stop at the first one whose answers all agree.

Paper: "Escape Sky-high Cost: Early-stopping Self-Consistency for Multi-step Reasoning", arXiv:2401.10480 (windows of 5, at most
40 samples). risk > 0 is its control scheme: the first window's answers say how large the further ones must be for the bound on
the risk of a unanimous wrong window to stay below it.
Differs from the official code: a window with an invalid answer, or one that failed, doesn't agree; what is left of n after
the last whole window votes but can't stop anything; the code prints its control figures for a whole data set, here they act
on the problem at hand.
"""

from __future__ import annotations

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.drawing import Draws
from outthink.parts.stopping import safe_window

WINDOWS = range(4, 11)
"""Window sizes of the paper's grid."""


@strategy(
    "early_stopping_consistency",
    paper="arXiv:2401.10480",
    title="Escape Sky-high Cost: Early-stopping Self-Consistency for Multi-step Reasoning",
)
async def early_stopping_consistency(
    run: Run, problem: Problem, n: int | None = None, window: int = 5, risk: float = 0.0, quorum: int = 1
) -> Selection:
    """The answer of the first unanimous window of samples, else the majority of n."""
    if window < 1 or not 0 <= risk <= 1:
        raise BadInput(f"window = {window} must be 1 or more and risk = {risk} in [0, 1]", where="early_stopping_consistency")
    draws = Draws(run, problem, n, quorum)
    while draws.open:
        answers = await draws.more(window)
        classes = {answer.answer_class for answer in answers}
        if draws.enough and len(answers) == window and len(classes) == 1 and None not in classes:
            unanimous = Selection(answers[0].text, answers[0].answer_class, 1.0, draws.samples[-window], {str(*classes): window})
            run.offer(unanimous)
            return unanimous
        if risk and draws.counts and draws.asked == window:
            window = safe_window([count / sum(draws.counts) for count in draws.counts], risk, WINDOWS)
    return draws.chosen()
