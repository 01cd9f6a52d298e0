"""Pools made of pools: several merged into one, or a part of one. What makes a row valid is `outthink.evaluation.schema`'s."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import polars as pl

from outthink.core.errors import BadInput
from outthink.evaluation.description import STATED
from outthink.evaluation.pool import ALTERNATIVES, Pool

_OF = ["problem_id", "model"]


def merged(pools: Sequence[Pool], name: str = "merged") -> Pool:
    """One pool of all samples. The first pool's keep their numbers; later ones follow them within each problem and model.

    A sample that is there twice (the same key, temperature and text) is taken once. Provenances and licences are put together.
    Raises BadInput where two pools ask something different under the same id, or state different golds.
    """
    frame = reduce(_joined, (pool.frame for pool in pools))
    for column in ("problem", "gold"):
        differing = (
            frame.drop_nulls(column).group_by("problem_id").agg(pl.col(column).unique()).filter(pl.col(column).list.len() > 1)
        )
        if differing.height:
            problem, (one, other, *_) = differing.row(0)
            raise BadInput(f"problem {problem!r} has two {column}s: {one[:60]!r} and {other[:60]!r}", where=f"pool {name}")
    metadata = {}
    for key in dict.fromkeys(key for pool in pools for key in pool.metadata):
        values = list(dict.fromkeys(pool.metadata[key] for pool in pools if key in pool.metadata))
        if len(values) == 1 or key in STATED:
            metadata[key] = "; ".join(values)
        elif key == ALTERNATIVES:  # what all of them have
            metadata[key] = str(min(map(int, values)))
    return Pool(frame, metadata, name)


def renumbered(pool: Pool) -> Pool:
    """The same samples, numbered from 0 without gaps within each problem and model."""
    number = (pl.col("sample_index").rank("ordinal").over(_OF) - 1).cast(pl.Int32)
    return Pool(pool.frame.with_columns(number.alias("sample_index")).sort(*_OF, "sample_index"), pool.metadata, pool.name)


def _joined(frame: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    same = ["problem_id", "model", "key", "text", "temperature"]
    again = more.drop_nulls("key").join(frame.drop_nulls("key"), on=same, how="semi", nulls_equal=True)
    more = more.join(again, on=[*_OF, "sample_index"], how="anti", maintain_order="left").sort(
        "sample_index", maintain_order=True
    )
    last = frame.group_by(_OF).agg(pl.col("sample_index").max().alias("_last"))
    number = pl.col("_last") + 1 + pl.int_range(pl.len()).over(_OF)
    more = more.join(last, on=_OF, how="left", maintain_order="left").with_columns(
        pl.coalesce(number, "sample_index").cast(pl.Int32).alias("sample_index")
    )
    return pl.concat([frame, more.drop("_last")])


def filtered(
    pool: Pool,
    *,
    models: Iterable[str] = (),
    problems: Iterable[str] = (),
    languages: Iterable[str] = (),
    samples: int | None = None,
    whole: bool = False,
    graded: bool = False,
    texts: bool = True,
) -> Pool:
    """A part of a pool; what isn't given filters nothing.

    models, problems, languages: only these
    samples: only so many of each problem and model, the first by number
    whole:   neither failed samples nor any that were cut at their length
    graded:  only samples whose grade is known
    texts:   False leaves the texts out, and what is counted in their characters

    Raises BadInput for a name that isn't there, and where nothing is left.
    """
    frame = pool.frame
    for column, names in (("model", models), ("problem_id", problems), ("language", languages)):
        wanted = list(names)
        missing = set(wanted) - set(frame[column].drop_nulls().unique())
        if missing:
            raise BadInput(f"holds no {column.removesuffix('_id')} {min(missing)!r}", where=f"pool {pool.name}")
        frame = frame.filter(pl.col(column).is_in(wanted)) if wanted else frame
    if whole:
        frame = frame.filter(pl.col("failed").is_null() & (pl.col("finish") != "length").fill_null(True))
    if graded:
        frame = frame.filter(pl.col("correct").is_not_null())
    if samples is not None:
        frame = frame.filter(pl.col("sample_index").rank("ordinal").over(_OF) <= samples)
    if not texts:
        frame = frame.with_columns(
            pl.lit(None, frame.schema[name]).alias(name) for name in ("text", "prefix_ends", "prefix_tokens")
        )
    if not frame.height:
        raise BadInput("no sample is left", where=f"pool {pool.name}")
    return Pool(frame, pool.metadata, pool.name)
