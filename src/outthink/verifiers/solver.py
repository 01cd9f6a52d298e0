"""The perfect process verifier: 1 where the task's own solver can still finish an answer so far rightly, else 0.

It needs no gold answer, only a task whose problems can be solved exactly, such as `countdown`.
"""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.parts.calibration import CalibrationOrFile
from outthink.parts.process import Process


class Solver(Process):
    """Asks the task's `value(problem, text)`; a task without one is refused before anything is spent."""

    needs_value = True

    def __init__(self, aggregate: str = "last", calibration: CalibrationOrFile = None) -> None:
        super().__init__("solver", aggregate, calibration)

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        """1.0 or 0.0 per answer so far."""
        return list(await run.invoke("task", "value", problem=problem.id, texts=list(texts)))
