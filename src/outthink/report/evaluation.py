"""An evaluation as its reader gets it: finished runs in; table, plot, page and JSON out.

Estimating is `outthink.evaluation`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from outthink.core.budget import Budget
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.selection import Result
from outthink.core.task import Task
from outthink.evaluation.comparison import Comparison, compare
from outthink.evaluation.outcomes import Outcome, grades, outcomes
from outthink.evaluation.rows import Cell, Row, distinct, remarks, rows
from outthink.report.details import Detail, Details

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure
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
        self._rungs: dict[tuple[str, str], Cell] = {}
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
        rungs: Sequence[Budget] = (),
        replicate: int = 0,
        oracle: bool = False,
        label: str = "",
    ) -> list[Outcome]:
        """Grade one finished run and count it once per budget that it answers for (None: whatever it spent).

        rungs: further budgets that it answers for, which get no rows: others are compared with it there
        label: what to call the strategy, where its name doesn't tell it from another row
        """
        graded = await self._grades(task, problem, result)
        made = outcomes(result, problem, graded, budgets=[*budgets, *rungs], label=label, replicate=replicate, oracle=oracle)
        for at, outcome in enumerate(made):
            cells = self._cells if at < len(budgets) else self._rungs
            cells.setdefault((outcome.strategy, outcome.budget), Cell()).add(outcome)
        del made[len(budgets) :]
        self._rows = None
        await self._details.add(task, problem, result, max(made, key=lambda outcome: outcome.usage.samples))
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
            cells = {key: self._cells[key] for key in ordered}
            self._rows = rows(cells, baseline=self.baseline or None, rungs=self._rungs)
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
    def front(self) -> list[Row]:
        """The Pareto front: the rows that no other beats for as many tokens, the cheapest first."""
        return sorted((row for row in self.shown if row.front), key=lambda row: (row.tokens, row.samples))

    @property
    def remarks(self) -> list[str]:
        """The notes, and what its own numbers tell a reader to beware of."""
        return [*self.notes, *remarks(self.rows)]

    @property
    def title(self) -> str:
        """A line that says what was evaluated."""
        if self._title:
            return self._title
        problems = max((row.problems for row in self.rows), default=0)
        pool, _, model = self.model.removeprefix("pool:").partition("/")
        if not self.model.startswith("pool:") or not model:
            pool, model = "", self.model or "A model"
        of = f" of the pool {pool}" if pool else f" of {self.source}" if self.source not in ("", "problems") else ""
        return f"{model} on {problems} problem{'s' * (problems != 1)}{of}"

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
        document = json.loads(self.to_json())
        return compare([*document["rows"], *document["rungs"]], first, second, equal=equal, at=at)

    def table(self, budgets: Sequence[str] | None = None, *, width: int | None = None) -> Table:
        """A table for a terminal (rich), of all budgets or these; `width` drops what matters least until it fits."""
        from outthink.report.table import table

        return table(self, budgets, width)

    @overload
    def plot(self, path: None = None) -> Figure: ...

    @overload
    def plot(self, path: str | Path) -> Path: ...

    def plot(self, path: str | Path | None = None) -> Figure | Path:
        """Accuracy against tokens as a matplotlib figure, which a notebook shows; with a path it is written there instead,
        all of it or none. The name's ending says which kind: .png, .svg or .pdf.

        Raises BadInput where no row has an accuracy and where it can't be written, and MissingExtra.
        """
        from outthink.report.plot import picture

        drawn = picture(self)
        return drawn if path is None else drawn.write(path)

    def report(self, path: str | Path) -> Path:
        """Write one HTML page that needs nothing else."""
        from outthink.report.html import report

        return report(self, path)

    def to_json(self) -> str:
        """Everything but the details, as JSON: every row, and rung of the baseline, with the mean credit of each problem."""
        found = [{**row.fields(), "credit": self._cells[row.strategy, row.budget].means()} for row in self.rows]
        rungs = [{"strategy": name, "budget": budget, **cell.fields()} for (name, budget), cell in self._rungs.items()]
        about = {"title": self.title, "settings": self.settings, "notes": self.remarks}
        return json.dumps({**about, "rows": found, "rungs": rungs}, indent=2)

    def to_polars(self) -> pl.DataFrame:
        """One row per strategy and budget, with the columns of `Row`."""
        import polars as pl

        return pl.DataFrame([row.fields() for row in self.rows], infer_schema_length=None)

    def __str__(self) -> str:
        from outthink.report.table import plain

        return plain(self)

    def __rich__(self) -> Table:
        return self.table()

    def _repr_html_(self) -> str:
        from outthink.report.html import fragment

        return fragment(self)
