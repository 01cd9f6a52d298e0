"""Whole curves of a pool: what single samples, a plurality vote, the best score and a perfect chooser give at every k."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from outthink.core.errors import BadInput
from outthink.core.shown import Shown, Shows
from outthink.evaluation.estimators import Floats, best_at_k, majority_at_k, pass_at_k
from outthink.evaluation.intervals import Interval
from outthink.evaluation.pool import Pool
from outthink.evaluation.problem_samples import problem_samples
from outthink.evaluation.resampling import resample


def mean_at_k(rows: pl.DataFrame, k: int) -> float:
    """Accuracy of one sample, whatever k: what spending nothing more gives."""
    return float(_right(rows).mean())


def coverage_at_k(rows: pl.DataFrame, k: int) -> float:
    """Chance that k samples hold a right one (pass@k): what a perfect chooser gives. It sees gold answers."""
    return float(pass_at_k(rows.height, int(_right(rows).sum()), k))


def plurality_at_k(rows: pl.DataFrame, k: int) -> float:
    """Expected credit of a plurality vote among k samples, ties fractional; samples without an answer don't vote."""
    classes = rows.drop_nulls("answer_class").group_by("answer_class").agg(pl.len(), pl.col("correct").mean())
    counts, right = classes["len"].to_list(), classes["correct"].to_list()
    return majority_at_k(counts, right, k, invalid=rows.height - sum(counts))


def best_score_at_k(rows: pl.DataFrame, k: int, column: str = "score") -> float:
    """Expected credit of the best-scored of k samples; one without answer or score is never chosen."""
    scores = rows.select(pl.when(pl.col("answer_class").is_not_null()).then(pl.col(column))).to_series()
    return best_at_k(scores.cast(pl.Float64).fill_null(np.nan).to_numpy(), _right(rows), k)


SELECTORS: dict[str, Callable[[pl.DataFrame, int], float]] = {
    "single": mean_at_k,
    "majority": plurality_at_k,
    "best_of_n": best_score_at_k,
    "pass@k (oracle)": coverage_at_k,
}


def at_k(pool: Pool, selector: Callable[[pl.DataFrame, int], float], k: int) -> Floats:
    """(P,) expected credit of every problem at k samples. Raises BadInput where a problem has fewer, or is not graded."""
    pool.one_model()
    credit = []
    for problem in pool.problems:
        rows = pool.rows(problem.id)
        if rows.filter(pl.col("failed").is_null())["correct"].null_count():
            raise BadInput(f"samples of problem {problem.id!r} are not graded", where=f"pool {pool.name}")
        credit.append(selector(rows, k))
    return np.asarray(credit)


@dataclass(frozen=True, slots=True)
class Point:
    """One selector at n samples.

    accuracy: how good it is on average over runs; the interval is over problems
    run:      the same, with the interval of what one run of n samples on as many problems may show
    gain:     accuracy minus that of a plurality vote among as many samples, paired by problem; None: it is that vote
    """

    selector: str
    n: int
    accuracy: Interval
    run: Interval
    gain: Interval | None


@dataclass(frozen=True)
class Curves(Shows):
    """What selectors give at every number of samples; printed, a table.

    notes: what a reader of these figures must know of the samples
    """

    name: str
    problems: int
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()

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
        return Shown(f"{self.name}: {self.problems} problems", head, rows, "; ".join([remark, *self.notes]))

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
    """Majority, pass@n and where there is a column for it weighted majority and best-of-n, by two-level resampling.

    ns:              numbers of samples; None: 1, 2, 4 ... up to the fewest of a problem
    weights, scores: columns to weigh votes by and to choose by, such as "score" or "mean_logprob"

    Raises BadInput for several models, samples that are not graded, and an n that a problem has too few samples for.
    """
    problems = problem_samples(pool, weights=weights, scores=scores)
    fewest = min((each.n for each in problems.values()), default=0)
    chosen = ns or sorted({*(1 << step for step in range(fewest.bit_length())), fewest})
    found = resample(list(problems.values()), chosen, resamples=resamples, seed=seed)
    points = [
        Point(
            name, n, found.accuracy(name, n), found.interval(name, n),
            None if name == "majority" else found.gain((name, n), ("majority", n)),
        )
        for name in found.means
        for n in found.ns
    ]  # fmt: skip
    return Curves(f"{pool.name}/{pool.one_model()}", len(problems), tuple(points), tuple(_notes(pool, weights)))


def _notes(pool: Pool, weights: str | None) -> Iterator[str]:
    each = pool.frame.group_by("problem_id").agg(pl.col("prompt", "temperature").drop_nulls().n_unique())
    if mixed := [name for name in ("prompt", "temperature") if (each[name] > 1).any()]:
        yield f"samples of one problem differ in their {' and '.join(mixed)}, and are drawn as if they didn't"
    if failed := pool.frame["failed"].count():
        yield f"{failed} of {pool.frame.height} samples failed, and are drawn as ones without an answer"
    if weights is not None and (pool.frame[weights].fill_null(0.0) < 0).any():
        yield f"votes weigh {weights} scaled to [0, 1] over all samples of a problem, since some are negative"


def _ends(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def _right(rows: pl.DataFrame) -> Floats:
    return np.asarray(rows["correct"].fill_null(value=False).cast(pl.Float64).to_numpy(), dtype=np.float64)
