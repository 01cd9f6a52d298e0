"""Curves of a pool as their reader gets them: table, plot and frame. Measuring them is `outthink.evaluation.curves`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, overload

import polars as pl

from outthink.core.errors import BadInput
from outthink.core.shown import Shown, Shows
from outthink.evaluation.curves import Point, measured, notes
from outthink.evaluation.intervals import Interval
from outthink.evaluation.pool import Pool
from outthink.evaluation.prefixes import ORACLE
from outthink.report.drawing import Line, Place, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Curves(Shows):
    """What selectors give at every number of samples; printed, a table.

    notes: what a reader of these figures must know of the samples
    """

    name: str
    problems: int
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """A line that says what was measured."""
        return f"{self.name}: {self.problems} problem{'s' * (self.problems != 1)}"

    def at(self, selector: str, n: int) -> Point:
        """One of the points. Raises BadInput where there is none."""
        for point in self.points:
            if (point.selector, point.n) == (selector, n):
                return point
        raise BadInput(f"there is no {selector!r} at {n}", where=f"curves of {self.name}")

    def to_polars(self) -> pl.DataFrame:
        """One row per selector and n; low and high are of `accuracy`, run_low and run_high of one run."""
        return pl.DataFrame(
            [
                {
                    "selector": each.selector, "n": each.n, "accuracy": each.accuracy.value, "low": each.accuracy.low,
                    "high": each.accuracy.high, "run_low": each.run.low, "run_high": each.run.high,
                    "gain": each.gain and each.gain.value, "gain_low": each.gain and each.gain.low,
                    "gain_high": each.gain and each.gain.high,
                }
                for each in self.points
            ],
            infer_schema_length=None,
        )  # fmt: skip

    @overload
    def plot(self, path: None = None) -> Figure: ...

    @overload
    def plot(self, path: str | Path) -> Path: ...

    def plot(self, path: str | Path | None = None) -> Figure | Path:
        """Accuracy against samples as a matplotlib figure, which a notebook shows; with a path it is written there instead,
        all of it or none. The name's ending says which kind: .png, .svg or .pdf.

        Raises BadInput where it can't be written, and MissingExtra.
        """
        places: dict[str, list[Place]] = {}
        for point in sorted(self.points, key=attrgetter("n")):
            mean = point.accuracy
            places.setdefault(point.selector, []).append(Place(point.n, mean.value, mean.low, mean.high))
        # A vote of one is that one sample.
        one = next((each for each in places.get("majority", ()) if each.x == 1), None)
        drawn = draw(
            [Line(name, places[name], name == ORACLE) for name in dict.fromkeys(point.selector for point in self.points)],
            None if one is None else Line("one sample", [one]),
            title=self.title,
            says="accuracy on average over runs, with 95% intervals over problems",
            unit="samples per problem",
        )
        return drawn if path is None else drawn.write(path)

    def shown(self) -> Shown:
        """The table, in percent."""
        head = ("selector", "samples", "accuracy (95%)", "one run (95%)", "against majority (95%)")
        rows = [
            (
                each.selector, str(each.n), f"{100 * each.accuracy.value:.1f}  {_ends(each.accuracy)}", _ends(each.run),
                "" if each.gain is None else f"{100 * each.gain.value:+.1f}  {_ends(each.gain)}",
            )
            for each in self.points
        ]  # fmt: skip
        remark = (
            "accuracy: on average over runs, over problems like these; one run: what a single run on as many problems may show; "
            "against majority: at equal samples, paired by problem; all in percent"
        )
        return Shown(self.title, head, rows, "; ".join([remark, *self.notes]))

    def __str__(self) -> str:
        return self.shown().text()


def curves(
    pool: Pool,
    ns: Sequence[int] | None = None,
    *,
    weights: str | None = None,
    scores: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Curves:
    """What `outthink.evaluation.curves.measured` finds, with the same arguments and errors."""
    points = measured(pool, ns, weights=weights, scores=scores, resamples=resamples, seed=seed)
    return Curves(f"{pool.name}/{pool.one_model()}", len(pool.problems), tuple(points), tuple(notes(pool, weights)))


def _ends(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
