"""One problem's samples as plain arrays, which is what fast estimators count on. Estimating is not done here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import Floats
from outthink.evaluation.pool import Pool


@dataclass(frozen=True, eq=False)
class ProblemSamples:
    """One problem's samples.

    classes: (N,) answer class from 0, -1 for a sample without a valid answer: it never votes and is never chosen
    right:   (N,) bool
    weights: (N,) votes of 0 or more, NaN where a sample doesn't vote; None: nothing to weigh by
    scores:  (N,) NaN where a sample can't be chosen; None: nothing to choose by
    """

    classes: NDArray[np.int64]
    right: NDArray[np.bool_]
    weights: Floats | None = None
    scores: Floats | None = None

    @classmethod
    def of(
        cls, classes: ArrayLike, right: ArrayLike, *, weights: ArrayLike | None = None, scores: ArrayLike | None = None
    ) -> ProblemSamples:
        """Checked arrays. Raises BadInput for unequal lengths, negative or infinite weights."""
        found = np.asarray(classes, dtype=np.int64)
        made = cls(found, np.asarray(right, dtype=bool), _floats(weights), _floats(scores))
        sizes = {each.shape for each in (made.classes, made.right, made.weights, made.scores) if each is not None}
        if len(sizes) != 1 or found.ndim != 1 or not len(found):
            raise BadInput(f"shapes {sorted(sizes)} are not one number per sample, of at least one", where="samples")
        if found.min() < -1:
            raise BadInput("an answer class is below -1, which says that there is none", where="samples")
        if made.weights is not None and bool(np.any((made.weights < 0) | np.isinf(made.weights))):
            raise BadInput("weights must be finite and 0 or more; scale raw scores first", where="samples")
        return made

    @property
    def n(self) -> int:
        """How many samples there are."""
        return len(self.classes)

    @property
    def class_right(self) -> Floats:
        """(C,) how far each class is right: the share of its samples that are."""
        valid = self.classes >= 0
        counts = np.bincount(self.classes[valid])
        return np.bincount(self.classes[valid], self.right[valid]) / np.maximum(counts, 1)

    def taken(self, order: NDArray[np.int64]) -> ProblemSamples:
        """The samples in another order."""
        weights, scores = (None if each is None else each[order] for each in (self.weights, self.scores))
        return ProblemSamples(self.classes[order], self.right[order], weights, scores)


def problem_samples(pool: Pool, *, weights: str | None = None, scores: str | None = None) -> dict[str, ProblemSamples]:
    """The samples of every problem of one model's pool, by problem id.

    weights, scores: columns to weigh votes by and to choose the best by; weights are scaled to [0, 1] within a problem where
                     one is negative. None: there are none

    Raises BadInput where there are several models, a sample is not graded, or some are continuations of others.
    """
    pool.one_model()
    where = f"pool {pool.name}"
    if pool.frame.filter(pl.col("failed").is_null())["correct"].null_count():
        how = "bring their golds along when it is made (--problems), or keep the graded ones: `outthink pool filter --graded`"
        raise BadInput(f"holds samples that are not graded; {how}", where=where)
    if pool.frame.group_by("problem_id").agg(pl.col("prefix").n_unique())["prefix"].max() not in (None, 1):
        raise BadInput("holds samples that continue different beginnings, such as the steps of a tree: replay it", where=where)
    wanted = [name for name in (weights, scores) if name is not None]
    for name in wanted:
        if name not in pool.frame.columns or not pool.frame.schema[name].is_numeric():
            raise BadInput(f"has no column of numbers {name!r}", where=where)
    frame = pool.frame.lazy().sort("sample_index", maintain_order=True).select(
        "problem_id",
        (pl.col("answer_class").rank("dense").over("problem_id").cast(pl.Int64) - 1).fill_null(-1).alias("class"),
        pl.col("correct").fill_null(value=False),
        *(pl.col(name).cast(pl.Float64).fill_null(float("nan")).alias(f"_{name}") for name in dict.fromkeys(wanted)),
    ).collect()  # fmt: skip
    found = {}
    for (name, *_), rows in frame.partition_by("problem_id", as_dict=True, maintain_order=True).items():
        heavy = None if weights is None else _scaled(rows[f"_{weights}"].to_numpy())
        chosen = None if scores is None else rows[f"_{scores}"].to_numpy()
        found[str(name)] = ProblemSamples.of(rows["class"].to_numpy(), rows["correct"].to_numpy(), weights=heavy, scores=chosen)
    return found


def _scaled(scores: Floats) -> Floats:
    """Scores as weights: as they are, or where one is negative scaled to [0, 1]."""
    if not bool(np.any(scores < 0)):
        return scores
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    return (scores - low) / (high - low) if high > low else np.where(np.isnan(scores), scores, 1.0)


def _floats(values: Any) -> Floats | None:
    return None if values is None else np.asarray(values, dtype=np.float64)
