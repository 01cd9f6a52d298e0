"""Whether data can tell a form's parameters apart, and what else a reader of a fit must know."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from outthink.laws.data import COVERAGE, Counts, Curve, Data
from outthink.laws.forms import CountForm, Form
from outthink.laws.law import Caution
from outthink.laws.parameters import Floats, inside, outside

FEW_PROBLEMS = 30
FEW_DRAWS = 40
"""Below so many, no resample at all lies beyond the ends of a 95% interval."""
WIDE = 100.0
"""A positive parameter whose 95% interval spans so many times its lower end is not known."""
SINGULAR = 1e-4
"""Least singular value of the curve's normalised sensitivities below which a direction of the parameters is flat."""


def examine(form: Form, data: Data, values: Floats, draws: Floats, failed: int) -> list[Caution]:
    """Cautions on a fit. draws: (R, p) parameters of the resamples that could be fitted; failed: how many could not."""
    found = [*_parameters(form, values, draws), *_data(form, data)]
    if flat := _flat(form, data, values):
        found.append(Caution(f"the data can't tell {flat} apart: moving them together leaves the curve as it is", True))
    if len(draws) < FEW_DRAWS:
        found.append(Caution(f"only {len(draws)} resamples: the ends of its intervals are rough"))
    if failed > 0.1 * (failed + len(draws)):
        found.append(Caution(f"{failed} of {failed + len(draws)} resamples could not be fitted", True))
    return found


def _parameters(form: Form, values: Floats, draws: Floats) -> Iterator[Caution]:
    for at, parameter in enumerate(form.parameters):
        if parameter.fixed:
            continue
        bound = parameter.bound(float(values[at]))
        if bound is not None:
            natural = bound in parameter.natural
            says = f"the data show no {parameter.name} below it" if natural else "the fit ran into it"
            if not (natural and bound == 0):
                yield Caution(f"{parameter.name} is at its bound of {bound:g}: {says}", not natural)
            continue
        if not len(draws):
            continue
        drawn = draws[:, at]
        stuck = np.mean([(edge := parameter.bound(float(v))) is not None and edge not in parameter.natural for v in drawn])
        low, high = np.quantile(drawn, [0.025, 0.975])
        if stuck > 0.2:
            yield Caution(f"{parameter.name} runs to a bound in {stuck:.0%} of the resamples", True)
        elif parameter.positive and high > WIDE * low:
            yield Caution(f"{parameter.name} is not known: its 95% interval is {low:.2g} to {high:.2g}", True)


def _flat(form: Form, data: Data, values: Floats) -> str:
    """The parameters along which the fitted curve hardly changes, named; "" where there are none."""
    free = [at for at, p in enumerate(form.parameters) if not p.fixed and p.bound(float(values[at])) is None]
    if len(free) < 2:
        return ""
    chosen = [form.parameters[at] for at in free]
    x, here = np.geomspace(data.smallest, data.largest, 40), outside(chosen, values[free])
    columns = []
    for at in range(len(free)):
        step = np.zeros(len(free))
        step[at] = 1e-4
        ends = []
        for moved in (here + step, here - step):
            whole = values.copy()
            whole[free] = inside(chosen, moved)
            ends.append(form.value(whole, x))
        columns.append((ends[0] - ends[1]) / 2e-4)
    sensitivity = np.array(columns).T
    lengths = np.linalg.norm(sensitivity, axis=0)
    if np.any(lengths < 1e-9):
        return " and ".join(p.name for p, length in zip(chosen, lengths, strict=True) if length < 1e-9)
    _, singular, directions = np.linalg.svd(sensitivity / lengths)
    if singular[-1] >= SINGULAR:
        return ""
    return " and ".join(p.name for p, share in zip(chosen, directions[-1], strict=True) if abs(share) > 0.2)


def _data(form: Form, data: Data) -> Iterator[Caution]:
    if 0 < data.problems < FEW_PROBLEMS:
        yield Caution(f"only {data.problems} problems: intervals over so few are rough")
    if isinstance(data, Curve) and data.scores is None:
        yield Caution("only means are known, not each problem's scores: how errors go together over budgets is guessed")
    if form.coverage and data.metric != COVERAGE:
        yield Caution(f"this form is for {COVERAGE}; {data.metric} need not follow it")
    if isinstance(data, Counts):
        unsolved = int(np.sum(data.c == 0))
        if unsolved:
            yield Caution(
                f"{unsolved} of {data.problems} problems were never solved: what they give beyond their samples is the form's "
                f"assumption"
            )
        if data.n.max() > data.n.min() and not isinstance(form, CountForm):
            yield Caution(f"problems have {data.n.min()} to {data.n.max()} samples: only {data.n.min()} of each shape the curve")
        if data.stopped:
            return
    x, y = data.curve(40)
    if len(x) < 2 * form.free:
        yield Caution(f"{len(x)} points for {form.free} parameters")
    drop = float(np.max(np.maximum.accumulate(y) - y))
    if drop > 0.01:
        yield Caution(f"the score falls by {drop:.3f} on the way; this form describes curves that rise")
    scores = data.table(40)
    if scores is not None and len(x) > 1:
        gains = scores[:, -1] - scores[:, 0]
        noise = float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
        if abs(float(gains.mean())) < 2 * noise or float(np.ptp(y)) < 1e-6:
            yield Caution("the score at the most spend differs from that at the least by no more than chance", True)
