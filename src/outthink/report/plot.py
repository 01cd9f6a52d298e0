"""An evaluation as a picture: accuracy against tokens per problem, one line per strategy, labelled where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from operator import attrgetter
from typing import TYPE_CHECKING

from outthink.evaluation.rows import Row
from outthink.report.drawing import INK, Line, Place, draw

if TYPE_CHECKING:
    from outthink.report.evaluation import Evaluation
    from outthink.report.picture import Picture


def picture(evaluation: Evaluation) -> Picture:
    """The picture with its title, in black on white. Raises BadInput where no row has an accuracy, and MissingExtra."""
    return _picture(evaluation, evaluation.title, INK, "white")


def svg(evaluation: Evaluation) -> str:
    """The picture as an SVG element without background, whose ink is the page's own text colour."""
    # A colour that nothing else has stands for the page's own.
    drawn, out = _picture(evaluation, "", "#010203", "none"), StringIO()
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "outthink", "svg.fonttype": "path"}):
        drawn.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :].replace("#010203", "currentColor")


def lines(rows: Sequence[Row]) -> list[Line]:
    """The rows that can be drawn, by strategy, with what they spent: tokens, or samples where tokens are not known."""
    spent = attrgetter(spending(rows))
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=spent):
        if row.accuracy is not None and spent(row) > 0:
            found.setdefault(row.strategy, []).append(row)
    return [
        Line(
            name,
            [Place(spent(row), row.accuracy or 0.0, row.low or 0.0, row.high or 0.0, bool(row.front)) for row in found[name]],
            any(row.oracle for row in found[name]),
        )
        for name in dict.fromkeys(row.strategy for row in rows)
        if name in found
    ]


def spending(rows: Sequence[Row]) -> str:
    """What the horizontal axis counts."""
    return "tokens" if all(row.completion_tokens for row in rows if row.samples) else "samples"


def _picture(evaluation: Evaluation, title: str, ink: str, background: str) -> Picture:
    shown = evaluation.shown
    unit, drawn = spending(shown), lines(shown)
    return draw(
        [line for line in drawn if line.name != "single"],
        next((Line("one sample", line.places) for line in drawn if line.name == "single"), None),
        title=title,
        says=f"accuracy, with 95% intervals over problems; ringed where nothing does better for as many {unit}",
        unit="tokens per problem, prompt and completion" if unit == "tokens" else "samples per problem",
        ink=ink,
        background=background,
    )
