"""What an evaluation gives to its reader: rows, and the table, plot, page and JSON made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outthink.core.errors import BadInput
from outthink.evaluate.rows import Row

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class ShownSample:
    """A sample in a problem's details. None: not known."""

    text: str
    answer: str | None = None
    correct: bool | None = None
    tokens: int | None = None
    failed: str = ""


@dataclass(frozen=True, slots=True)
class ShownChoice:
    """What a strategy answered to a problem; `credit` is its mean over replicates, None without a gold answer."""

    strategy: str
    budget: str
    answer: str | None
    credit: float | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One problem to drill down into: what was asked, sampled and chosen. `votes` counts the samples by answer."""

    problem: str
    text: str
    gold: str | None
    samples: Sequence[ShownSample] = ()
    choices: Sequence[ShownChoice] = ()

    @property
    def votes(self) -> list[tuple[str, int, bool | None]]:
        """(answer, samples, whether it is right), most samples first."""
        counts: dict[str, int] = {}
        right: dict[str, bool | None] = {}
        for sample in self.samples:
            if sample.answer is not None:
                counts[sample.answer] = counts.get(sample.answer, 0) + 1
                right.setdefault(sample.answer, sample.correct)
        return sorted(((name, n, right[name]) for name, n in counts.items()), key=lambda vote: -vote[1])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of evaluating strategies on problems.

    rows:     one per strategy and budget; see `outthink.evaluate.rows.Row`
    details:  some problems in full
    title:    a line that says what was evaluated
    settings: how: model, task, sampling, seed ... (JSON values)
    notes:    sentences that a reader must know, such as which rows see gold answers
    """

    rows: tuple[Row, ...]
    details: tuple[Detail, ...] = ()
    title: str = "Evaluation"
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def row(self, strategy: str, budget: str | None = None) -> Row:
        """The row of a strategy at a budget (None: its last one). Raises BadInput where there is none."""
        found = [row for row in self.rows if row.strategy == strategy and budget in (None, row.budget)]
        if not found:
            known = ", ".join(dict.fromkeys(f"{row.strategy} at {row.budget}" for row in self.rows))
            raise BadInput(f"there is no {strategy!r} at {budget!r}; there is {known}", where="evaluation")
        return found[-1]

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
        """Everything but the details, as JSON."""
        rows = [row.fields() for row in self.rows]
        return json.dumps({"title": self.title, "settings": dict(self.settings), "notes": self.notes, "rows": rows}, indent=2)

    def details_json(self) -> str:
        """The details, as JSON."""
        return json.dumps([asdict(detail) for detail in self.details], indent=2)

    def __str__(self) -> str:
        from outthink.report.table import plain

        return plain(self)
