"""Self-consistency: sample several chains of thought and let their answers vote.

Paper: "Self-Consistency Improves Chain of Thought Reasoning in Language Models", arXiv:2203.11171 (n = 40, T 0.5 to 0.7).
Differs from common codes: answers vote by equivalence class, invalid ones not at all; a tie goes to the class that came first.
"""

from __future__ import annotations

from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.anytime import offered
from outthink.parts.voting import growing


@strategy(
    "majority",
    paper="arXiv:2203.11171",
    title="Self-Consistency Improves Chain of Thought Reasoning in Language Models",
)
async def majority(run: Run, problem: Problem, n: int | None = None, quorum: int = 1) -> Selection:
    """The most frequent answer of n samples."""
    samples = await run.generate(problem, n, quorum=quorum)
    return offered(run, samples, growing(samples, await run.answers(problem, samples)))
