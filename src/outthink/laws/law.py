"""A fitted law: what it predicts, with a band, where it refuses, and as JSON. Fitting one is `laws.fit`'s."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from outthink.core.errors import BadInput, PredictionRefused
from outthink.core.shown import Shown, Shows
from outthink.evaluation.intervals import Interval
from outthink.laws.forms import Form, form
from outthink.laws.parameters import Floats

if TYPE_CHECKING:
    import polars as pl

REACH = 10.0
"""How many times beyond the measured spends a law predicts, unless a longer reach was tested on held-out budgets."""


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that a reader of a fit must know. blocks: so much so that nothing is predicted beyond the measured spends."""

    text: str
    blocks: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A measured score at a spend, with its 95% interval; None where that is not known."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Law(Shows):
    """A form with fitted parameters.

    form_name: which form;  values: its parameters, in order
    draws:     the parameters fitted to resampled problems, from which all intervals come
    smallest, largest: measured spends;  unit, metric, data: of what, the score and where it was measured
    problems:  how many were measured, 0 where that is not known
    error:     mean absolute error on held-out budgets, up to `ratio` times those it was then fitted to; None: never tested
    """

    form_name: str
    values: tuple[float, ...]
    draws: tuple[tuple[float, ...], ...] = field(repr=False)
    smallest: float
    largest: float
    unit: str
    metric: str
    data: str
    problems: int
    cautions: tuple[Caution, ...] = ()
    points: tuple[Point, ...] = field(default=(), repr=False)
    error: float | None = None
    ratio: float | None = None

    @property
    def form(self) -> Form:
        """Its form."""
        return form(self.form_name)

    @property
    def reach(self) -> float:
        """How many times beyond the measured spends it predicts."""
        return max(REACH, self.ratio or 0.0)

    @property
    def blocked(self) -> list[str]:
        """Why nothing is predicted beyond the measured spends; empty where nothing forbids it."""
        return [caution.text for caution in self.cautions if caution.blocks]

    @property
    def parameters(self) -> dict[str, Interval]:
        """Each parameter with its 95% interval."""
        drawn = np.array(self.draws).reshape(-1, len(self.values))
        found = {}
        for at, (parameter, value) in enumerate(zip(self.form.parameters, self.values, strict=True)):
            found[parameter.name] = band(value, drawn[:, at])
        return found

    def score(self, x: float) -> float:
        """What the equation says at any spend, without asking whether it may be believed: see `predict`."""
        return float(self.form.value(np.array(self.values), np.array([x]))[0])

    def predict(self, x: float) -> Interval:
        """Score at a spend, with its 95% interval over problems: of the mean, not of one problem.

        Raises PredictionRefused beyond the reach, and beyond the measured spends where the fit is not identified.
        """
        self.refuse(x)
        return band(self.score(x), self.drawn(np.array([x]))[:, 0])

    def drawn(self, x: Floats) -> Floats:
        """Scores of every draw at spends (K,): (draws, K)."""
        made = self.form
        return np.array([made.value(np.array(draw), x) for draw in self.draws]).reshape(len(self.draws), len(x))

    def refuse(self, x: float) -> None:
        """Raise PredictionRefused, or BadInput for what is no spend at all, unless it can answer for this one."""
        if not (math.isfinite(x) and x > 0):
            raise BadInput(f"a spend of {x} {self.unit} is none", where="predict")
        if x > self.largest * self.reach * (1 + 1e-9) or x < self.smallest / self.reach * (1 - 1e-9):
            raise PredictionRefused(
                f"{x:g} {self.unit} is more than {self.reach:g} times beyond the {self.smallest:g} to {self.largest:g} that were "
                f"measured; measure nearer to it, or test a longer reach by holding out more"
            )
        if self.blocked and not self.smallest * (1 - 1e-9) <= x <= self.largest * (1 + 1e-9):
            raise PredictionRefused(
                f"{self.form_name} says nothing of {x:g} {self.unit}, beyond the {self.smallest:g} to {self.largest:g} that were "
                f"measured: {'; '.join(self.blocked)}"
            )
        if not self.form.holds(np.array(self.values), x):
            raise PredictionRefused(f"{self.form.equation} is no share any more at {x:g} {self.unit}; choose another form")

    def needed(self, score: float) -> Interval:
        """The spend at which a score is reached, with its 95% interval; its upper end is infinite where draws never get there.

        Raises PredictionRefused where the law itself doesn't get there within its reach.
        """
        end = self.largest * (1.0 if self.blocked else self.reach)
        x = np.geomspace(self.smallest, end, 400)
        found = _crossing(x, self.form.value(np.array(self.values), x), score)
        if math.isinf(found):
            raise PredictionRefused(f"{score:g} is not reached within {end:g} {self.unit}, which is as far as this law goes")
        drawn = np.array([_crossing(x, each, score) for each in self.drawn(x)])
        return band(found, drawn)

    def to_polars(self) -> pl.DataFrame:
        """One row per parameter, with its 95% interval."""
        import polars as pl

        return pl.DataFrame([{"parameter": name, **asdict(value)} for name, value in self.parameters.items()])

    def shown(self) -> Shown:
        """Its parameters, and what it must be taken with."""
        rows = [(name, f"{value.value:.4g}", f"{value.low:.4g} to {value.high:.4g}") for name, value in self.parameters.items()]
        title = f"{self.metric} of {self.data}: {self.form.equation} ({self.form_name})"
        return Shown(title, ("parameter", "value", "95% interval"), rows, "; ".join(each.text for each in self.cautions))

    def tested(self, error: float, ratio: float) -> Law:
        """The same, with what held-out budgets said."""
        return replace(self, error=error, ratio=ratio)

    def to_json(self) -> str:
        """Everything, as JSON that `from_json` reads back digit for digit."""
        return json.dumps({"kind": "outthink.law", "version": 1, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A law from its JSON. Raises BadInput for anything else."""
        try:
            return cls._read(json.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError, LookupError) as error:
            raise BadInput(f"is no law of ours: {error}", where="law") from None

    @classmethod
    def _read(cls, found: Mapping[str, Any]) -> Self:
        if found.get("kind") != "outthink.law" or found.get("version") != 1:
            raise ValueError("it says that it is another kind of document, or of another version")
        given = {each.name: found[each.name] for each in fields(cls)}
        given["values"] = tuple(float(value) for value in given["values"])
        given["draws"] = tuple(tuple(float(value) for value in draw) for draw in given["draws"])
        given["cautions"] = tuple(Caution(**caution) for caution in given["cautions"])
        given["points"] = tuple(Point(**point) for point in given["points"])
        made = cls(**given)
        wrong = [row for row in (made.values, *made.draws) if len(row) != len(made.form.parameters)]
        if wrong or not np.isfinite(made.values).all() or not 0 < made.smallest <= made.largest:
            raise ValueError(f"its numbers are no parameters of {made.form_name}")
        return made


def band(value: float, drawn: Sequence[float] | Floats) -> Interval:
    """A value with the 2.5% and 97.5% quantiles of its draws, widened where need be to hold the value."""
    if not len(drawn):
        return Interval(value, value, value)
    # By rank, not interpolated: draws may be infinite.
    low, high = np.quantile(drawn, [0.025, 0.975], method="inverted_cdf")
    return Interval(value, min(float(low), value), max(float(high), value))


def _crossing(x: Floats, y: Floats, score: float) -> float:
    above = np.flatnonzero(y >= score)
    if not len(above):
        return math.inf
    at = int(above[0])
    if at == 0:
        return float(x[0])
    share = (score - y[at - 1]) / (y[at] - y[at - 1])
    return float(x[at - 1] * (x[at] / x[at - 1]) ** share)
