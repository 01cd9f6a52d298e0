"""An evaluation as one HTML page: no network, no script, foreign text escaped. The page's looks are in `page.html.jinja`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outthink.core.errors import BadInput, MissingExtra
from outthink.evaluation.rows import Row, doubling
from outthink.report.details import KINDS, Detail
from outthink.report.plot import lines, spending, svg
from outthink.report.text import front_legend, number, percent, points, points_span, span, standing, visible

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
    groups: dict[str, list[Detail]] = {}
    for detail in evaluation.details:
        groups.setdefault(detail.kind, []).append(detail)
    return _rendered("page.html.jinja", evaluation, details=evaluation.details, groups=groups, kinds=KINDS)


def fragment(evaluation: Evaluation) -> str:
    """Picture and table for a notebook."""
    return _rendered("notebook.html.jinja", evaluation)


def _rendered(name: str, evaluation: Evaluation, **more: Any) -> str:
    try:
        import jinja2
        from markupsafe import Markup
    except ImportError:
        raise MissingExtra("a report", "evaluate") from None

    folder = files("outthink.report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda file: folder.joinpath(file).read_text(encoding="utf-8")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        number=number, percent=percent, points=points, standing=standing,
        shown=lambda text: visible(str(text)), clipped=lambda text: visible(str(text), MOST_TEXT),
    )  # fmt: skip
    rows = evaluation.shown
    compared = next((row for row in rows if row.baseline), None)
    return environment.get_template(name).render(
        title=evaluation.title,
        rows=rows,
        few=doubling(rows),
        front=_alike(evaluation.front),
        unit=spending(rows),
        legend=front_legend(rows),
        settings=evaluation.settings,
        notes=evaluation.remarks,
        baseline=compared.baseline if compared else "",
        equal=compared.equal if compared else "",
        span=span,
        points_span=points_span,
        ranked=any(row.front is False for row in rows),
        paid=any(row.usd for row in rows),
        timed=any(row.seconds for row in rows),
        unsure=any(row.unanswered for row in rows),
        lost=any(row.failed for row in rows),
        plot=Markup(svg(evaluation)) if lines(rows) else "",  # noqa: S704  # drawn by us; its texts are paths
        **more,
    )


def _alike(front: Sequence[Row]) -> list[list[Row]]:
    """Rows of the front, those together that give the same accuracy for the same."""
    found: list[list[Row]] = []
    for row in front:
        if found and row.accuracy == found[-1][0].accuracy:
            found[-1].append(row)
        else:
            found.append([row])
    return found
