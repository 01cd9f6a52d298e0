"""Fitted laws as text and as a picture. Fitting them is `outthink.laws`'s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from outthink.core.errors import PredictionRefused
from outthink.evaluation.intervals import Interval
from outthink.laws.compare import Comparison
from outthink.laws.law import Law
from outthink.report.drawing import COLOURS, FAINT, INK
from outthink.report.text import number, percent, span, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_DRAWN = 4  # laws in one picture


def table(found: Comparison, spends: Sequence[float] = ()) -> str:
    """One line per form, the best first: held-out error, parameters with 95% intervals, scores at other spends; then why
    some could not be fitted, cautions, and the choice in one sentence."""
    ordered = found.ranked
    head = ["form", "held out", *(f"at {number(x)}" for x in spends), "parameters (95%)"]
    rows = [head]
    for law in ordered:
        mark = "→ " if law.form_name == found.chosen else "  "
        error = "" if law.error is None else f"{100 * law.error:.1f} pts"
        told = ", ".join(f"{name} {_parameter(value)}" for name, value in law.parameters.items())
        rows.append([mark + law.form_name, error, *(predicted(law, x) for x in spends), told])
    wide = [max(len(row[at]) for row in rows) for at in range(len(head) - 1)]
    lines = ["  ".join([*(f"{cell:<{w}}" for cell, w in zip(row, wide, strict=False)), row[-1]]).rstrip() for row in rows]
    lines += ["", *(f"! {names}: {text}" for text, names in _cautions(ordered).items())]
    lines += [f"! not fitted: {text}" for text in dict.fromkeys(found.failed.values())]
    if found.held_out is not None:
        lines += [f"! {name} could not be judged: {text}" for name, text in found.held_out.failed.items()]
    return visible("\n".join([*lines, "", found.sentence()]))


def predicted(law: Law, x: float) -> str:
    """A prediction with its band, or "refused"."""
    try:
        made = law.predict(x)
    except PredictionRefused:
        return "refused"
    return f"{percent(made.value)} {span(made.low, made.high, 0)}"


def plot(found: Comparison, path: str | Path) -> Path:
    """Write the measured points, the chosen law with its band, and the next best ones; dashed where they extrapolate.

    Raises BadInput where it can't be written.
    """
    from outthink.report.picture import Picture

    law, figure = found.law, Picture(figsize=(8, 4.8), facecolor="white")
    axes = figure.add_axes((0.085, 0.125, 0.885, 0.755))
    axes.set_xscale("log")
    others = [each for each in found.ranked if each.form_name != found.chosen and each.error is not None]
    for at, each in reversed(list(enumerate([law, *others[: MOST_DRAWN - 1]]))):
        _draw(axes, each, COLOURS[at], first=at == 0)
    _points(axes, law)
    axes.set_ylim(max(0.0, axes.get_ylim()[0]), min(1.02, axes.get_ylim()[1]))
    if found.held_out is not None:
        axes.axvline(found.held_out.largest, color=FAINT, linewidth=1.0, linestyle=":")
        axes.annotate(
            "forms were judged on what lies right of here", (found.held_out.largest, 0.015), xycoords=("data", "axes fraction"),
            xytext=(4, 0), textcoords="offset points", color=FAINT, fontsize=8,
        )  # fmt: skip
    from matplotlib.ticker import FuncFormatter, NullLocator  # only now: without matplotlib a picture says what is missing

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.8)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.set_xlabel(f"{visible(law.unit, 40)} per problem (log scale)", color=INK, fontsize=9.5)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="best", frameon=False, fontsize=9)
    title = visible(f"{law.metric} of {law.data}", 78)
    figure.text(0.022, 0.945, title, color=INK, fontsize=12, fontweight="bold", va="center")
    over = " over problems" if law.problems else ""
    figure.text(
        0.022, 0.9, f"measured points and fitted laws, with a 95% band{over}; dashed beyond what was measured",
        color=FAINT, fontsize=9.5, va="center",
    )  # fmt: skip
    return figure.write(path)


def _draw(axes: Axes, law: Law, colour: str, *, first: bool) -> None:
    end = law.largest * (1.0 if law.blocked else law.reach)
    for low, high, style in ((law.smallest, law.largest, "-"), (law.largest, end, (0, (4, 2)))):
        if high <= low:
            continue
        x = np.geomspace(low, high, 120)
        y = law.form.value(np.array(law.values), x)
        error = "" if law.error is None else f" (held out: {100 * law.error:.1f} points)"
        label = f"{law.form.title}{error}" if style == "-" else None
        axes.plot(x, y, color=colour, linestyle=style, linewidth=2.0 if first else 1.2, label=label)
        if first and law.draws:
            bottom, top = np.quantile(law.drawn(x), [0.025, 0.975], axis=0)
            axes.fill_between(x, np.minimum(bottom, y), np.maximum(top, y), color=colour, alpha=0.13, linewidth=0)


def _points(axes: Axes, law: Law) -> None:
    x, y = [point.x for point in law.points], [point.y for point in law.points]
    known = [point for point in law.points if point.low is not None and point.high is not None]
    if known:
        spread = [[p.y - (p.low or 0.0) for p in known], [(p.high or 0.0) - p.y for p in known]]
        axes.errorbar(
            [p.x for p in known], [p.y for p in known], spread, fmt="none", ecolor=INK, elinewidth=0.8, alpha=0.5, zorder=3
        )
    axes.plot(x, y, "o", color=INK, markersize=3.5, zorder=4)


def _parameter(value: Interval) -> str:
    return f"{value.value:.4g} [{value.low:.3g}, {value.high:.3g}]"


def _cautions(laws: Sequence[Law]) -> dict[str, str]:
    """Each caution once, with the forms that it concerns; "all" where it is all of them."""
    named: dict[str, list[str]] = {}
    for law in laws:
        for caution in law.cautions:
            text = caution.text + ("; it predicts nothing beyond what was measured" if caution.blocks else "")
            named.setdefault(text, []).append(law.form_name)
    return {text: "all" if len(names) == len(laws) > 1 else ", ".join(names) for text, names in named.items()}
