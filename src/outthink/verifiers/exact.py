"""The oracle: 1 where the task grades the answer right by the gold answer, else 0. Never for answers that are given to users."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample


class Exact:
    """Scores by the gold answer, which only the grader sees; an invalid answer is wrong."""

    name = "exact"
    oracle = True
    logprobs: LogprobNeed | None = None
    roles: frozenset[str] = frozenset()

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """1.0 or 0.0 per sample."""
        answers = await run.answers(problem, samples)
        grades = await run.invoke("grader", "grade", problem=problem.id, answers=[answer.text for answer in answers])
        return [1.0 if right else 0.0 for right in grades]
