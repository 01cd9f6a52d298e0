"""Lines of accuracy against spending in one picture, with bands, labelled where they end.

What they are lines of is not known here: `outthink.report.plot` draws evaluations, `outthink.report.curves` pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from outthink.core.errors import BadInput
from outthink.report.text import number, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from outthink.report.picture import Picture

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#882255")
"""Okabe and Ito's, which colour-blind readers can tell apart, and two more; after the eighth line the markers tell."""
MARKERS = "oDs^vP"
INK, FAINT = "#1f2328", "#8b949e"
GAP = 0.052  # least distance of two labels, in heights of the picture


@dataclass(frozen=True, slots=True)
class Place:
    """What was spent, the accuracy there and its 95% interval; ringed where that is said to be best."""

    x: float
    y: float
    low: float
    high: float
    ringed: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """Places by what was spent, one at least. An oracle is drawn in grey, without a band."""

    name: str
    places: Sequence[Place]
    oracle: bool = False


def draw(
    lines: Sequence[Line],
    level: Line | None,
    *,
    title: str,
    says: str,
    unit: str,
    ink: str = INK,
    background: str = "white",
) -> Picture:
    """The picture; spending is on a log scale.

    level:  drawn as the level where it ends, to compare the others with
    says:   a line below the title; what the figures are
    unit:   what spending counts

    Raises BadInput where there is nothing to draw, and MissingExtra.
    """
    from outthink.report.picture import Picture

    every = [*lines, *([] if level is None else [level])]
    if not every:
        raise BadInput("nothing has an accuracy and spending to draw; give problems with gold answers", where="plot")
    picture = Picture(figsize=(8, 4.8), facecolor=background)
    axes = picture.add_axes((0.085, 0.125, 0.665, 0.755 if title else 0.8), facecolor=background)
    axes.set_xscale("log")
    # Oracles are grey, so they take no colour from the others; they are drawn first, below.
    ordered = sorted(lines, key=lambda line: not line.oracle)
    oracles = sum(line.oracle for line in ordered)
    labels = [_line(axes, line, at - oracles) for at, line in enumerate(ordered)]
    places = [place for line in every for place in line.places]
    axes.set_xlim(min(place.x for place in places) / 1.12, max(place.x for place in places) * 1.12)
    if level is not None:
        labels.append(_level(axes, level))
    best = [place for place in places if place.ringed]
    ring: dict[str, Any] = {"markersize": 9, "markerfacecolor": "none", "markeredgecolor": ink, "markeredgewidth": 0.9}
    axes.plot([place.x for place in best], [place.y for place in best], "o", **ring)
    axes.margins(y=0.08)
    _write_labels(axes, labels)
    _scales(axes, ink)
    axes.set_xlabel(f"{unit} (log scale)", color=ink, fontsize=9.5)
    size = 12 if len(title) <= 66 else 9.5
    picture.text(0.022, 0.945, _drawable(title, 88), color=ink, fontsize=size, fontweight="bold", va="center", parse_math=False)
    picture.text(0.022, 0.9 if title else 0.962, says, color=FAINT, fontsize=9.5, va="center")
    return picture


def _scales(axes: Axes, ink: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

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


def _line(axes: Axes, line: Line, at: int) -> tuple[str, str, float, float]:
    """Draw one line; returns its label, colour and the point where it ends."""
    colour = FAINT if line.oracle else COLOURS[at % len(COLOURS)]
    marker = "o" if line.oracle else MARKERS[at // len(COLOURS) % len(MARKERS)]
    x, y = [place.x for place in line.places], [place.y for place in line.places]
    low, high = [place.low for place in line.places], [place.high for place in line.places]
    style: dict[str, Any] = {
        "color": colour, "linewidth": 1.4 if line.oracle else 2.0, "linestyle": (0, (4, 2)) if line.oracle else "-"
    }  # fmt: skip
    if len(x) == 1:
        style |= {"linewidth": 1.2, "marker": marker, "markersize": 6}
        axes.errorbar(x, y, [[y[0] - low[0]], [high[0] - y[0]]], **style)
    else:
        axes.plot(x, y, marker=marker, markersize=3.5, solid_capstyle="round", **style)
        if not line.oracle:
            axes.fill_between(x, low, high, color=colour, alpha=0.08, linewidth=0)
    label = line.name.replace("_", " ") + (" (oracle)" if line.oracle and "oracle" not in line.name else "")
    return _drawable(label, 28), colour, x[-1], y[-1]


def _level(axes: Axes, line: Line) -> tuple[str, str, float, float]:
    """Draw where a line ends as a level."""
    level = line.places[-1].y
    axes.axhline(level, color=FAINT, linewidth=1.2, linestyle=":")
    return _drawable(line.name, 28), FAINT, axes.get_xlim()[1], level


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
