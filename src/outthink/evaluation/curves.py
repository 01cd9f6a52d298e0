"""Whole curves of a pool: what single samples, a plurality vote, the best score and a perfect chooser give at every k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import Floats, best_at_k, majority_at_k, pass_at_k
from outthink.evaluation.intervals import Interval, accuracy
from outthink.evaluation.pool import Pool


@dataclass(frozen=True, slots=True)
class Point:
    """One selector at k samples: mean over problems, with its interval."""

    selector: str
    k: int
    accuracy: Interval


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


def curve(pool: Pool, selectors: Sequence[str], ks: Sequence[int]) -> list[Point]:
    """Points of the named selectors (see `SELECTORS`) at each k."""
    return [Point(name, k, accuracy(at_k(pool, SELECTORS[name], k))) for name in selectors for k in ks]


def _right(rows: pl.DataFrame) -> Floats:
    return np.asarray(rows["correct"].fill_null(value=False).cast(pl.Float64).to_numpy(), dtype=np.float64)
