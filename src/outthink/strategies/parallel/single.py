"""One sample: the baseline that everything else is measured against."""

from __future__ import annotations

from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.anytime import offered
from outthink.parts.voting import growing


@strategy("single")
async def single(run: Run, problem: Problem) -> Selection:
    """The answer of one sample."""
    samples = await run.generate(problem)
    return offered(run, samples, growing(samples, await run.answers(problem, samples)))
