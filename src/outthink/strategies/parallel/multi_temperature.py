"""Multi-temperature voting: spread samples over temperatures, and stop early on what all of them agree about.

Paper: "On the Role of Temperature Sampling in Test-Time Scaling", arXiv:2510.02611 (temperatures 0.0, 0.1 ... 1.2, intra 0.8,
cross 1.0). One sample per temperature and round; a temperature is sure where its first answer has the share `intra` of its
votes; where all are sure and the share `cross` of them have the same first answer the run ends. The answer is the vote of all.
Differs from the paper: greedy samples repeat each other, so temperature 0 is asked once (compat=True asks it in every round, as
the paper counts); `min_rounds`, because after one round every temperature is sure; invalid answers are in no share. The paper
hands what is left over to a verifier; here the vote decides. Its grid is finer; 0.1 to 0.3 hardly solve anything further.
"""

from __future__ import annotations

from collections import Counter

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.drawing import Draws
from outthink.parts.voting import Tally


@strategy(
    "multi_temperature",
    paper="arXiv:2510.02611",
    title="On the Role of Temperature Sampling in Test-Time Scaling",
)
async def multi_temperature(
    run: Run,
    problem: Problem,
    n: int | None = None,
    temperatures: tuple[float, ...] = (0.0, 0.4, 0.8, 1.2),
    intra: float = 0.8,
    cross: float = 1.0,
    min_rounds: int = 2,
    compat: bool = False,
    quorum: int = 1,
) -> Selection:
    """The most frequent answer of n samples at several temperatures, or of fewer where these agree early."""
    if not temperatures or len(set(temperatures)) < len(temperatures):
        raise BadInput(f"temperatures are {temperatures} and must be different ones", where="multi_temperature")
    if not 0 <= intra <= 1 or not 0 <= cross <= 1 or min_rounds < 1:
        raise BadInput("intra and cross must be in [0, 1], min_rounds 1 or more", where="multi_temperature")
    draws, own, rounds = Draws(run, problem, n, quorum), {each: Tally() for each in temperatures}, 0
    while draws.open:
        grid = [each for each in temperatures if each > 0 or compat or not rounds]
        if not grid:
            break  # greedy samples alone would only repeat the first
        answers = await draws.more(len(grid), temperatures=grid)
        for sample, answer in zip(draws.samples[len(draws.samples) - len(answers) :], answers, strict=True):
            own[grid[sample.key.index]].add(sample, answer)
        rounds += 1
        if draws.enough and rounds >= min_rounds and _agreed(own, intra, cross):
            break
    return draws.chosen()


def _agreed(own: dict[float, Tally], intra: float, cross: float) -> bool:
    first = [tally.leading() for tally in own.values()]
    if any(each.confidence is None or each.confidence < intra for each in first):
        return False
    ((_, most),) = Counter(each.answer_class for each in first).most_common(1)
    return most >= cross * len(first)
