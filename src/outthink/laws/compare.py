"""Choose among forms by what they foretell: fitted to small budgets, judged on large ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from outthink.core.errors import BadInput
from outthink.core.shown import Shown, Shows
from outthink.evaluation.intervals import Interval
from outthink.laws.data import COVERAGE, Counts, Data
from outthink.laws.fit import RESAMPLES, fit, measured
from outthink.laws.forms import FORMS, Form
from outthink.laws.forms import form as named
from outthink.laws.law import Law, band

REPEATS = 24
POINTS = 40  # of the curve; those beyond the small budgets are judged


@dataclass(frozen=True)
class HeldOut:
    """How forms did on budgets that they were not fitted to.

    largest: spend that they were fitted up to;  ratio: how many times further they were judged
    errors:  (R,) mean absolute error over the held-out budgets, in each repeat, by form; NaN where it could not be fitted
    failed:  why a form could not be judged: over half of its repeats could not be fitted
    """

    largest: float
    ratio: float
    errors: Mapping[str, np.ndarray[tuple[int], np.dtype[np.float64]]]
    failed: Mapping[str, str]

    def error(self, name: str) -> float:
        """Mean over repeats."""
        return float(np.nanmean(self.errors[name]))

    def as_good(self, among: Iterable[str]) -> list[str]:
        """Those within one paired standard error of the best, the best first."""
        order = sorted(among, key=self.error)
        best = self.errors[order[0]]
        kept = order[:1]
        for name in order[1:]:
            behind = self.errors[name] - best
            behind = behind[np.isfinite(behind)]
            # Repeats redraw the problems, so their spread is itself a standard error.
            if len(behind) and float(np.mean(behind)) <= float(np.std(behind)):
                kept.append(name)
        return kept


def held_out(data: Data, forms: Sequence[Form], *, share: float = 0.5, repeats: int = REPEATS, seed: int = 0) -> HeldOut:
    """Judge forms on the upper `share` of log spend.

    Every repeat redraws the problems, lets every form see only what small budgets would have shown (counts are drawn again
    without replacement), and judges it on the same problems' curve beyond. Raises BadInput where too little is left to fit.
    """
    if not 0 < share < 1:
        raise BadInput(f"is {share:g} and must be between 0 and 1", where="hold out")
    if repeats < 2:
        raise BadInput(f"{repeats} repeats say nothing about chance; at least 2 are needed", where="hold out")
    largest = data.largest / (data.largest / data.smallest) ** share
    rng = np.random.default_rng(seed)
    errors: dict[str, list[float]] = {form.name: [] for form in forms}
    failed: dict[str, str] = {}
    for _ in range(repeats):
        drawn = data.resampled(rng)
        x, y = drawn.curve(POINTS)
        judged = x > largest * (1 + 1e-9)
        if not judged.any():
            raise BadInput(f"no budget beyond {largest:g} {data.unit} is left to judge on", where=data.name)
        seen = drawn.upto(largest, rng)
        for form in forms:
            try:
                values = form.fit(seen)
            except BadInput as error:  # such as a draw of problems that nothing solves
                errors[form.name].append(math.nan)
                failed[form.name] = str(error)
            else:
                errors[form.name].append(float(np.mean(np.abs(form.value(values, x[judged]) - y[judged]))))
    kept = {name: np.array(found) for name, found in errors.items() if np.isnan(found).mean() <= 0.5}
    failed = {name: why for name, why in failed.items() if name not in kept}
    return HeldOut(largest, data.largest / largest, kept, failed)


@dataclass(frozen=True)
class Comparison(Shows):
    """Forms fitted to the same data.

    laws:    fitted to everything, by form;  failed: why a form could not be fitted
    chosen:  the name of the one to use
    kept:    those that foretold as well as the best within chance, whose spread is the doubt about the form itself
    """

    laws: Mapping[str, Law]
    failed: Mapping[str, str]
    chosen: str
    kept: tuple[str, ...]
    held_out: HeldOut | None

    @property
    def law(self) -> Law:
        """The chosen law."""
        return self.laws[self.chosen]

    def predict(self, x: float) -> Interval:
        """The chosen law's score; its band is over problems and the forms that foretold as well. Raises PredictionRefused."""
        self.law.refuse(x)
        believed = [self.laws[name] for name in self.kept if not self.laws[name].blocked or name == self.chosen]
        return band(self.law.score(x), np.concatenate([law.drawn(np.array([x]))[:, 0] for law in believed]))

    @property
    def ranked(self) -> list[Law]:
        """The laws, the least held-out error first; those that were never judged last."""
        return sorted(self.laws.values(), key=lambda law: (law.error is None, law.error or 0.0))

    def to_polars(self) -> pl.DataFrame:
        """One row per parameter of each form, with its 95% interval and the form's held-out error."""
        return pl.concat(
            law.to_polars().select(
                pl.lit(law.form_name).alias("form"), pl.lit(law.form_name == self.chosen).alias("chosen"),
                pl.lit(law.error, pl.Float64).alias("held_out_error"), pl.all(),
            )
            for law in self.ranked
        )  # fmt: skip

    def shown(self) -> Shown:
        """The forms by what they foretold, and the choice in a sentence."""
        rows = [
            (law.form_name, "" if law.error is None else f"{100 * law.error:.1f} points", law.form.equation)
            for law in self.ranked
        ]
        return Shown(self.sentence(), ("form", "error on held-out budgets", "equation"), rows)

    def sentence(self) -> str:
        """Which law was chosen, and why, in one sentence."""
        law = self.law
        told = ", ".join(f"{name} = {value.value:.4g}" for name, value in law.parameters.items())
        start = f"{law.metric} of {law.data} follows {law.form.equation} ({self.chosen}) with {told}"
        if self.held_out is None:
            return f"{start}; it was not tested on held-out budgets."
        others = [name for name in self.kept if name != self.chosen]
        also = f"; {', '.join(others)} did as well within chance" if others else ""
        return (
            f"{start}: fitted up to {self.held_out.largest:.3g} {law.unit} it foretells up to {law.largest:.3g} with a mean "
            f"error of {100 * self.held_out.error(self.chosen):.1f} points{also}."
        )


def compare(
    data: Data,
    forms: Sequence[Form | str] | None = None,
    *,
    hold_out: float | None = 0.5,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Fit forms to the data and choose one.

    forms:    by default every form that describes such data
    hold_out: share of log spend that forms are judged on; None chooses nothing but the first form that can be fitted, as do
              counts that were sampled until something was right, from which no smaller budget can be redrawn

    Of the forms that did as well as the best on held-out budgets within one paired standard error, the one with the fewest
    parameters is chosen, then the one with the least error. Raises BadInput where no form can be fitted, or for fewer than two
    resamples, which have no spread.
    """
    for name, number, least in (("resamples", resamples, 2), ("seed", seed, 0)):
        if number < least:
            raise BadInput(f"is {number} and must be at least {least}", where=name)
    chosen_from = [named(each) if isinstance(each, str) else each for each in (forms if forms is not None else suited(data))]
    points, laws, failed = measured(data), dict[str, Law](), dict[str, str]()
    for form in chosen_from:
        try:
            laws[form.name] = fit(data, form, resamples=resamples, seed=seed, points=points)
        except BadInput as error:
            failed[form.name] = str(error)
    if not laws:
        raise BadInput(f"no form can be fitted: {'; '.join(dict.fromkeys(failed.values()))}", where=data.name)
    if hold_out is None or (isinstance(data, Counts) and data.stopped):
        first = next(iter(laws))
        return Comparison(laws, failed, first, (first,), None)
    judged = held_out(data, [form for form in chosen_from if form.name in laws], share=hold_out, seed=seed)
    # A law that can't be told from others by these data is chosen only where there is no other.
    able = [name for name in judged.errors if not laws[name].blocked] or list(judged.errors)
    if not able:
        raise BadInput(f"no form can be judged: {'; '.join(dict.fromkeys(judged.failed.values()))}", where=data.name)
    laws |= {name: laws[name].tested(judged.error(name), judged.ratio) for name in judged.errors}
    kept = judged.as_good(able)
    chosen = min(kept, key=lambda name: (laws[name].form.free, judged.error(name)))
    return Comparison(laws, failed, chosen, tuple(kept), judged)


def suited(data: Data) -> list[str]:
    """Names of the forms that describe such data: those for coverage only where it is coverage, rounds only for rounds."""
    rounds = data.unit == "rounds"
    names = [name for name, each in FORMS.items() if data.metric == COVERAGE or not each.coverage]
    return [name for name in names if name != "sequential_saturation" or rounds]
