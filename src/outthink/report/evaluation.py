"""An evaluation as its reader gets it: finished runs in; table, plot, page and JSON out.

Estimating is `outthink.evaluation`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outthink.core.budget import Budget
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.selection import Result
from outthink.core.task import Task
from outthink.evaluation.comparison import Comparison, compare
from outthink.evaluation.outcomes import Outcome, grades, outcomes
from outthink.evaluation.rows import Cell, Row, distinct, rows
from outthink.report.details import Detail, Details

if TYPE_CHECKING:
    from rich.table import Table


class Evaluation:
    """Strategies on problems at several budgets.

    model, task, source: what was evaluated on what, for titles
    title:    a line that says what this is; made of the above when empty
    settings: how: sampling, seed ... (JSON values)
    notes:    sentences that a reader must know
    baseline: the strategy that each is compared with at equal tokens; "": majority, else single, where they ran

    Memory is a few numbers per problem, strategy and budget, and the texts of the first problems only.
    """

    def __init__(
        self,
        *,
        model: str = "",
        task: str = "",
        source: str = "",
        title: str = "",
        settings: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
        baseline: str = "",
    ) -> None:
        self.model, self.task, self.source, self.baseline = model, task, source, baseline
        self.settings: dict[str, Any] = {
            **({"model": model} if model else {}),
            **({"task": task} if task else {}),
            **(settings or {}),
        }
        self.notes = list(notes)
        self._title = title
        self._cells: dict[tuple[str, str], Cell] = {}
        self._details = Details()
        self._rows: list[Row] | None = None
        self._graded: dict[str, dict[str, bool]] = {}

    async def add(
        self,
        task: Task,
        problem: Problem,
        result: Result,
        *,
        budgets: Sequence[Budget | None] = (None,),
        replicate: int = 0,
        oracle: bool = False,
        label: str = "",
    ) -> list[Outcome]:
        """Grade one finished run and count it once per budget that it answers for (None: whatever it spent).

        label: what to call the strategy, where its name doesn't tell it from another row
        """
        graded = await self._grades(task, problem, result)
        made = outcomes(result, problem, graded, budgets=budgets, label=label, replicate=replicate, oracle=oracle)
        for outcome in made:
            self._cells.setdefault((outcome.strategy, outcome.budget), Cell()).add(outcome)
        self._rows = None
        await self._details.add(task, problem, result, made[-1])
        return made

    async def _grades(self, task: Task, problem: Problem, result: Result) -> dict[str, bool]:
        """Grades of the run's answers. Replicates of a problem come close together, so the last problems' are remembered."""
        known = self._graded.setdefault(problem.id, {})
        known.update(await grades(task, problem, result, known))
        while len(self._graded) > 256:
            del self._graded[next(iter(self._graded))]
        return known

    @property
    def rows(self) -> list[Row]:
        """One row per strategy and budget, in order of their first run and by what they cost. Raises BadInput for none at all."""
        if self._rows is None:
            if not self._cells:
                raise BadInput("there is no finished run", where="evaluation")
            names = list(dict.fromkeys(name for name, _ in self._cells))
            ordered = sorted(
                self._cells,
                key=lambda key: (names.index(key[0]), self._cells[key].spent("tokens"), self._cells[key].spent("samples")),
            )
            self._rows = rows({key: self._cells[key] for key in ordered}, baseline=self.baseline or None)
        return self._rows

    @property
    def shown(self) -> list[Row]:
        """The rows that tables, plots and pages show: without those that only repeat the one before."""
        return distinct(self.rows)

    @property
    def details(self) -> list[Detail]:
        """The first problems in full."""
        return self._details.found()

    @property
    def title(self) -> str:
        """A line that says what was evaluated."""
        if self._title:
            return self._title
        problems = max((row.problems for row in self.rows), default=0)
        return f"{self.model or 'A model'} on {problems} problems" + (
            f" of {self.source}" if self.source not in ("", "problems") else ""
        )

    def row(self, strategy: str, budget: str | None = None) -> Row:
        """The row of a strategy at a budget (None: its largest). Raises BadInput where there is none."""
        found = [row for row in self.rows if row.strategy == strategy and budget in (None, row.budget)]
        if not found:
            known = ", ".join(f"{row.strategy} at {row.budget}" for row in self.rows)
            raise BadInput(f"there is no {strategy!r} at {budget!r}; there is {known}", where="evaluation")
        return found[-1]

    def compare(self, first: str, second: str, *, equal: str = "", at: float | None = None) -> Comparison:
        """Whether one strategy is better than another at equal cost; printed, it is one sentence with an interval.

        equal: "tokens", "samples" or "usd"; "": tokens where they are known
        at:    so much of it per problem; None: the most that both were measured at
        """
        return compare(json.loads(self.to_json())["rows"], first, second, equal=equal, at=at)

    def table(self, budgets: Sequence[str] | None = None, *, width: int | None = None) -> Table:
        """A table for a terminal (rich), of all budgets or these; `width` drops what matters least until it fits."""
        from outthink.report.table import table

        return table(self, budgets, width)

    def plot(self, path: str | Path) -> Path:
        """Write accuracy against tokens as a picture; the name's ending says which kind (PNG, SVG, PDF)."""
        from outthink.report.plot import plot

        return plot(self, path)

    def report(self, path: str | Path) -> Path:
        """Write one HTML page that needs nothing else."""
        from outthink.report.html import report

        return report(self, path)

    def to_json(self) -> str:
        """Everything but the details, as JSON: every row with the mean credit of each of its graded problems."""
        found = [{**row.fields(), "credit": self._cells[row.strategy, row.budget].means()} for row in self.rows]
        return json.dumps({"title": self.title, "settings": self.settings, "notes": self.notes, "rows": found}, indent=2)

    def __str__(self) -> str:
        from outthink.report.table import plain

        return plain(self)
