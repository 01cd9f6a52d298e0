"""An evaluation as one HTML page: no network, no script, foreign text escaped. The page's looks are in `page.html.jinja`."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from outthink.core.errors import BadInput, MissingExtra
from outthink.evaluation.rows import doubling
from outthink.report.plot import lines, svg
from outthink.report.text import number, percent, points, points_span, span, visible

if TYPE_CHECKING:
    from outthink.report.evaluation import Evaluation

MOST_TEXT = 4000
"""Characters of one text that the page shows."""


def report(evaluation: Evaluation, path: str | Path) -> Path:
    """Write the page. Raises BadInput where it can't be written."""
    path = Path(path)
    try:
        path.write_text(page(evaluation), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"can't be written: {error.strerror}", where=f"report {path}") from None
    return path


def page(evaluation: Evaluation) -> str:
    """The page as text."""
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise MissingExtra("a report", "evaluate") from None

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(
        number=number, percent=percent, points=points,
        shown=lambda text: visible(str(text)), clipped=lambda text: visible(str(text), MOST_TEXT),
    )  # fmt: skip
    template = environment.from_string(files("outthink.report").joinpath("page.html.jinja").read_text(encoding="utf-8"))
    rows = evaluation.shown
    compared = next((row for row in rows if row.baseline), None)
    return template.render(
        title=evaluation.title,
        rows=rows,
        few=doubling(rows),
        details=evaluation.details,
        settings=evaluation.settings,
        notes=evaluation.notes,
        baseline=compared.baseline if compared else "",
        equal=compared.equal if compared else "",
        span=span,
        points_span=points_span,
        paid=any(row.usd for row in rows),
        unsure=any(row.unanswered for row in rows),
        lost=any(row.failed for row in rows),
        plot=Markup(svg(evaluation)) if lines(rows) else "",  # noqa: S704  # drawn by us; its texts are paths
    )
