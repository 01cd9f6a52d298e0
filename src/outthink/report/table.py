"""An evaluation as a table for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from outthink.evaluation.rows import Row
from outthink.report.text import front_legend, number, percent, points, points_span, span, standing, tokens, visible

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from outthink.report.evaluation import Evaluation

    Column = tuple[str, Callable[[Row], Text]]


DROPPED_FIRST = ("calls", "sec.", "failed", "front", "tokens")
"""Columns that a narrow terminal loses, in this order; pages and JSON have them."""


def table(evaluation: Evaluation, budgets: Sequence[str] | None = None, width: int | None = None) -> Table:
    """One line per strategy and budget. Columns that would be empty throughout are left out.

    budgets: only these
    width:   characters it must fit in, by leaving out the columns that matter least
    """
    rows = [row for row in evaluation.shown if budgets is None or row.budget in budgets]
    columns = _columns(rows)
    made = _made(evaluation, rows, columns)
    for name in DROPPED_FIRST:
        if width is None or width_of(made) <= width:
            break
        columns = [column for column in columns if column[0].strip() != name]
        made = _made(evaluation, rows, columns)
    return made


def _made(evaluation: Evaluation, rows: Sequence[Row], columns: Sequence[Column]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left", pad_edge=False, padding=0)
    made.title = Text(visible(evaluation.title), "bold")
    means = "tokens, calls and seconds (in the model, added up) are means per problem"
    fronts = [front_legend(rows)] if any(name == "front" for name, _ in columns) else []
    beyond = (
        ["* more or less than the baseline was measured at: its nearest budget is compared"]
        if any(row.beyond for row in rows)
        else []
    )
    made.caption = Text("\n".join([means, *fronts, *beyond, *map(visible, evaluation.remarks)]), "dim")
    for heading, _ in columns:
        made.add_column(heading, justify="left" if heading == "strategy" else "right", no_wrap=True, overflow="crop")
    before = ""
    for row in rows:
        if before and row.strategy != before:
            made.add_section()
        name = visible(row.strategy) + (" (oracle)" if row.oracle and "oracle" not in row.strategy else "")
        first = Text(name if row.strategy != before else "", "dim" if row.oracle else "bold")
        made.add_row(first, *(cell(row) for _, cell in columns[1:]))
        before = row.strategy
    return made


def _columns(rows: Sequence[Row]) -> list[Column]:
    """Headings, and what each row shows below them."""
    from rich.text import Text

    compared = next((row for row in rows if row.baseline), None)
    heading = "" if compared is None else f"vs {visible(compared.baseline)} at\nequal {compared.equal} "
    sampled = all(row.budget.partition(" ")[2] in ("sample", "samples") for row in rows)
    found: list[tuple[str, bool, Callable[[Row], Text]]] = [
        ("strategy", True, lambda row: Text(row.strategy)),
        ("samples", sampled, lambda row: Text(row.budget.partition(" ")[0])),
        ("budget", not sampled, lambda row: Text(visible(row.budget))),
        (" accuracy (95%)", True, _accuracy),
        (heading, bool(heading), _difference),
        ("front", any(row.front is False for row in rows), lambda row: Text(standing(row))),
        (" tokens", True, lambda row: Text(tokens(row))),
        ("calls", True, lambda row: Text(number(row.calls))),
        ("usd", any(row.usd for row in rows), lambda row: Text(number(row.usd))),
        ("  sec.", any(row.seconds for row in rows), lambda row: Text(number(row.seconds))),
        ("no\nanswer", any(row.unanswered for row in rows), lambda row: Text(percent(row.unanswered) if row.unanswered else "")),
        ("failed", any(row.failed for row in rows), lambda row: Text(str(row.failed) if row.failed else "")),
    ]
    return [(heading, cell) for heading, shown, cell in found if shown]


def width_of(made: Table) -> int:
    """Characters that its widest line takes, titles aside."""
    from rich.console import Console
    from rich.measure import Measurement

    wide = Console(file=StringIO(), width=1000)
    return Measurement.get(wide, wide.options, made).maximum


def plain(evaluation: Evaluation) -> str:
    """The same as text without colours."""
    from rich.console import Console

    out = StringIO()
    Console(file=out, width=120, no_color=True, legacy_windows=False).print(table(evaluation))
    return out.getvalue()


def _accuracy(row: Row) -> Text:
    from rich.text import Text

    return Text.assemble(percent(row.accuracy), (f" {span(row.low, row.high, 0):>6}", "dim"))


def _difference(row: Row) -> Text:
    """Green or red only where the interval leaves no doubt about the sign."""
    from rich.text import Text

    if row.difference is None or row.difference_low is None or row.difference_high is None:
        return Text("")
    style = "green" if row.difference_low > 0 else "red" if row.difference_high < 0 else ""
    spread = points_span(row.difference_low, row.difference_high, 0)
    return Text.assemble((points(row.difference), style), (f" {spread:>8}", "dim"), "*" if row.beyond else " ")
