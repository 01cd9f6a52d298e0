"""Whole curves of a pool: what single samples, a plurality vote, the best score and a perfect chooser give at every k."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from outthink.core.errors import BadInput
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


def measured(
    pool: Pool,
    ns: Sequence[int] | None = None,
    *,
    weights: str | None = None,
    scores: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Point]:
    """Majority, pass@n and where there is a column for it weighted majority and best-of-n, by two-level resampling.

    ns:              numbers of samples; None: 1, 2, 4 ... up to the fewest of a problem
    weights, scores: columns to weigh votes by and to choose by, such as "score" or "mean_logprob"

    Raises BadInput for several models, samples that are not graded, and an n that a problem has too few samples for.
    """
    problems = problem_samples(pool, weights=weights, scores=scores)
    fewest = min((each.n for each in problems.values()), default=0)
    chosen = ns or sorted({*(1 << step for step in range(fewest.bit_length())), fewest})
    found = resample(list(problems.values()), chosen, resamples=resamples, seed=seed)
    return [
        Point(
            name, n, found.accuracy(name, n), found.interval(name, n),
            None if name == "majority" else found.gain((name, n), ("majority", n)),
        )
        for name in found.means
        for n in found.ns
    ]  # fmt: skip


def notes(pool: Pool, weights: str | None) -> Iterator[str]:
    """What a reader of `measured` must know of the samples."""
    each = pool.frame.group_by("problem_id").agg(pl.col("prompt", "temperature").drop_nulls().n_unique())
    if mixed := [name for name in ("prompt", "temperature") if (each[name] > 1).any()]:
        yield f"samples of one problem differ in their {' and '.join(mixed)}, and are drawn as if they didn't"
    if failed := pool.frame["failed"].count():
        yield f"{failed} of {pool.frame.height} samples failed, and are drawn as ones without an answer"
    if weights is not None and (pool.frame[weights].fill_null(0.0) < 0).any():
        yield f"votes weigh {weights} scaled to [0, 1] over all samples of a problem, since some are negative"


def _right(rows: pl.DataFrame) -> Floats:
    return np.asarray(rows["correct"].fill_null(value=False).cast(pl.Float64).to_numpy(), dtype=np.float64)
