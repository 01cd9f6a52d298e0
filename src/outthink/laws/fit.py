"""Fit one form to data, with intervals over problems and the cautions that go with it. Choosing a form is `laws.compare`'s."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from outthink.core.errors import BadInput
from outthink.evaluation.intervals import Z, accuracy
from outthink.laws.data import Curve, Data
from outthink.laws.forms import Form
from outthink.laws.forms import form as named
from outthink.laws.identifiability import examine
from outthink.laws.law import Law, Point
from outthink.laws.parameters import Floats

RESAMPLES = 200
SHOWN = 14  # measured points that go with a law


def fit(data: Data, form: Form | str, *, resamples: int = RESAMPLES, seed: int = 0, points: Sequence[Point] | None = None) -> Law:
    """A law of that form, fitted as its source does, refitted to resampled problems for its intervals.

    points: what `measured` says of the data, where that is known already

    Raises BadInput where the form can't be fitted to such data, and UnknownName.
    """
    made = named(form) if isinstance(form, str) else form
    if resamples < 0:
        raise BadInput(f"{resamples} resamples are too few", where="fit")
    values = made.fit(data)
    draws, failed = _resample(made, _with_errors(made, data, values), values, resamples, seed)
    return Law(
        made.name, tuple(map(float, values)), tuple(tuple(map(float, draw)) for draw in draws),
        data.smallest, data.largest, data.unit, data.metric, data.name, data.problems,
        tuple(examine(made, data, values, draws, failed)), tuple(measured(data) if points is None else points),
    )  # fmt: skip


def _resample(form: Form, data: Data, values: Floats, resamples: int, seed: int) -> tuple[Floats, int]:
    """Parameters fitted to resampled problems, begun at the fit of all, and how many resamples had nothing to fit."""
    rng = np.random.default_rng(seed)
    draws, failed = [], 0
    for _ in range(resamples):
        try:
            draws.append(form.fit(data.resampled(rng), [values]))
        except BadInput:
            failed += 1
    return np.array(draws).reshape(len(draws), len(values)), failed


def _with_errors(form: Form, data: Data, values: Floats) -> Data:
    """Where nothing is known of a curve's errors, what the fit leaves over stands for them."""
    if not isinstance(data, Curve) or data.scores is not None or data.error is not None:
        return data
    left = data.y - form.value(values, data.x)
    spread = math.sqrt(float(left @ left) / max(len(left) - form.free, 1))
    return replace(data, error=np.full(len(left), spread))


def measured(data: Data) -> list[Point]:
    """A few points of the curve with their 95% intervals, to show next to a fit; none where the counts allow none."""
    if getattr(data, "stopped", False):
        return []
    x, y = data.curve(SHOWN)
    scores = data.table(SHOWN)
    if scores is not None:
        intervals = [accuracy(column) for column in scores.T]
        return [Point(float(a), each.value, each.low, each.high) for a, each in zip(x, intervals, strict=True)]
    error = data.error if isinstance(data, Curve) else None
    if error is None:
        return [Point(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    return [
        Point(float(a), float(b), max(0.0, float(b - Z * e)), min(1.0, float(b + Z * e)))
        for a, b, e in zip(x, y, error, strict=True)
    ]
