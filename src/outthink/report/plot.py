"""An evaluation as a picture: accuracy against tokens per problem, one line per strategy, labelled where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outthink.core.errors import BadInput, MissingExtra
from outthink.evaluation.rows import Row
from outthink.report.text import number, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from outthink.report.evaluation import Evaluation

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#882255")
"""Okabe and Ito's, which colour-blind readers can tell apart, and two more; after the eighth line the markers tell."""
MARKERS = "oDs^vP"
INK, FAINT = "#1f2328", "#8b949e"
GAP = 0.052  # least distance of two labels, in heights of the picture


def plot(evaluation: Evaluation, path: str | Path) -> Path:
    """Write the picture; the ending of the name says which kind. Raises BadInput where it can't be written."""
    path = Path(path)
    drawn = figure(evaluation)
    try:
        drawn.savefig(path, dpi=200)
    except (OSError, ValueError) as error:
        raise BadInput(f"can't be written: {error}", where=f"plot {path}") from None
    return path


def figure(evaluation: Evaluation) -> Figure:
    """The picture with its title, in black on white."""
    return _figure(evaluation, INK, "white", evaluation.title)


def svg(evaluation: Evaluation) -> str:
    """The picture as an SVG element without background, whose ink is the page's own text colour."""
    import matplotlib as mpl

    out = StringIO()
    with mpl.rc_context({"svg.hashsalt": "outthink", "svg.fonttype": "path"}):
        # A colour that nothing else has stands for the page's own.
        _figure(evaluation, "#010203", "none", "").savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :].replace("#010203", "currentColor")


def lines(rows: Sequence[Row]) -> dict[str, list[tuple[float, Row]]]:
    """The rows that can be drawn, by strategy, with what they spent: tokens, or samples where tokens are not known."""
    unit = spending(rows)
    found: dict[str, list[tuple[float, Row]]] = {}
    for row in rows:
        if row.accuracy is not None and getattr(row, unit) > 0:
            found.setdefault(row.strategy, []).append((getattr(row, unit), row))
    return {name: sorted(each, key=lambda point: point[0]) for name, each in found.items()}


def spending(rows: Sequence[Row]) -> str:
    """What the horizontal axis counts."""
    return "tokens" if all(row.completion_tokens for row in rows) else "samples"


def _figure(evaluation: Evaluation, ink: str, background: str, title: str) -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator
    except ImportError:
        raise MissingExtra("a plot", "evaluate") from None

    shown = evaluation.shown
    drawn = lines(shown)
    if not drawn:
        raise BadInput("no row has an accuracy and tokens to draw; give problems with gold answers", where="plot")
    figure = Figure(figsize=(8, 4.8), facecolor=background)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.085, 0.125, 0.665, 0.755 if title else 0.8), facecolor=background)
    axes.set_xscale("log")
    single = drawn.pop("single", None)
    # Oracles are grey, so they take no colour from the others; they are drawn first, below.
    ordered = sorted(drawn, key=lambda name: not drawn[name][0][1].oracle)
    oracles = sum(drawn[name][0][1].oracle for name in ordered)
    labels = [_line(axes, name, drawn[name], at - oracles) for at, name in enumerate(ordered)]
    spent = [each for line in [*drawn.values(), single or []] for each, _ in line]
    axes.set_xlim(min(spent) / 1.12, max(spent) * 1.12)
    if single is not None:
        labels.append(_level(axes, single[-1][1]))
    best = [(each, row.accuracy or 0.0) for line in [*drawn.values(), single or []] for each, row in line if row.front]
    ring: dict[str, Any] = {"markersize": 9, "markerfacecolor": "none", "markeredgecolor": ink, "markeredgewidth": 0.9}
    axes.plot([x for x, _ in best], [y for _, y in best], "o", **ring)
    axes.margins(y=0.08)
    _write_labels(axes, labels)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(ink)
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.8)
    axes.tick_params(colors=ink, labelsize=9, length=0)
    axes.tick_params(axis="x", length=3)
    unit = "tokens per problem, prompt and completion" if spending(shown) == "tokens" else "samples per problem"
    axes.set_xlabel(f"{unit} (log scale)", color=ink, fontsize=9.5)
    size = 12 if len(title) <= 66 else 9.5
    figure.text(0.022, 0.945, _drawable(title, 88), color=ink, fontsize=size, fontweight="bold", va="center", parse_math=False)
    says = f"accuracy, with 95% intervals over problems; ringed where nothing does better for as many {spending(shown)}"
    figure.text(0.022, 0.9 if title else 0.962, says, color=FAINT, fontsize=9.5, va="center")
    return figure


def _line(axes: Axes, name: str, points: list[tuple[float, Row]], at: int) -> tuple[str, str, float, float]:
    """Draw one strategy; returns its label, colour and the point where it ends."""
    rows = [row for _, row in points]
    oracle = any(row.oracle for row in rows)
    colour = FAINT if oracle else COLOURS[at % len(COLOURS)]
    marker = "o" if oracle else MARKERS[at // len(COLOURS) % len(MARKERS)]
    x, y = [spent for spent, _ in points], [row.accuracy or 0.0 for row in rows]
    low, high = [row.low or 0.0 for row in rows], [row.high or 0.0 for row in rows]
    style: dict[str, Any] = {"color": colour, "linewidth": 1.4 if oracle else 2.0, "linestyle": (0, (4, 2)) if oracle else "-"}
    if len(rows) == 1:
        style |= {"linewidth": 1.2, "marker": marker, "markersize": 6}
        axes.errorbar(x, y, [[y[0] - low[0]], [high[0] - y[0]]], **style)
    else:
        axes.plot(x, y, marker=marker, markersize=3.5, solid_capstyle="round", **style)
        if not oracle:
            axes.fill_between(x, low, high, color=colour, alpha=0.08, linewidth=0)
    label = name.replace("_", " ") + (" (oracle)" if oracle and "oracle" not in name else "")
    return _drawable(label, 28), colour, x[-1], y[-1]


def _level(axes: Axes, row: Row) -> tuple[str, str, float, float]:
    """What one sample gives, as a level to compare with."""
    level = row.accuracy or 0.0
    axes.axhline(level, color=FAINT, linewidth=1.2, linestyle=":")
    return "one sample", FAINT, axes.get_xlim()[1], level


def _write_labels(axes: Axes, labels: list[tuple[str, str, float, float]]) -> None:
    """Names at the right edge, pushed apart where they would overlap, each joined to the end of its line."""
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    ordered = sorted(labels, key=lambda label: label[3])
    placed = _apart([(y - low) / (high - low) for *_, y in ordered], GAP)
    for (name, colour, x, y), height in zip(ordered, placed, strict=True):
        axes.annotate(
            name, xy=(x, y), xytext=(1.035, height), textcoords="axes fraction", color=colour, fontsize=9.5, va="center",
            annotation_clip=False, parse_math=False,
            arrowprops={"arrowstyle": "-", "relpos": (0, 0.5), "color": colour, "alpha": 0.4, "linewidth": 0.6, "shrinkB": 3},
        )  # fmt: skip
    axes.set_ylim(low, high)
    axes.set_xlim(left, right)


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights at least `gap` apart, near the wanted ones (rising, in [0, 1]): crowded ones spread around their mean."""
    groups: list[list[float]] = []  # each spreads evenly around the mean of what its members want
    for height in wanted:
        groups.append([height])
        while len(groups) > 1 and _bottom(groups[-1], gap) < _bottom(groups[-2], gap) + gap * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_bottom(group, gap) + gap * at for group in groups for at in range(len(group))]


def _bottom(group: Sequence[float], gap: float) -> float:
    """Where the lowest of a group goes, so that the group stays on the picture."""
    spread = gap * (len(group) - 1)
    return min(max(sum(group) / len(group) - spread / 2, 0.0), max(1.0 - spread, 0.0))


def _drawable(text: str, most: int) -> str:
    """Text in the characters that the font has, cut where there is no room."""
    from matplotlib.font_manager import findfont, get_font

    known = get_font(findfont("DejaVu Sans")).get_charmap()
    text = "".join(character if ord(character) in known else "\N{REPLACEMENT CHARACTER}" for character in visible(text))
    return text if len(text) <= most else text[: most - 1] + "…"
