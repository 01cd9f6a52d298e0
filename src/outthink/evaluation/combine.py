"""Pools made of pools: several merged into one, or a part of one. What makes a row valid is `outthink.evaluation.schema`'s."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial, reduce

import polars as pl

from outthink.core.errors import BadInput
from outthink.evaluation.description import STATED
from outthink.evaluation.pool import ALTERNATIVES, VERIFIER, Pool

_OF = ["problem_id", "model"]
_SAID = ("answer", "correct", "score")
"""What two pools may say of one sample."""
_ROUNDED = 1e-6
"""Scores that lie so near each other are one: it may have been kept in 32 bits."""


def merged(pools: Sequence[Pool], name: str = "merged") -> Pool:
    """One pool of all samples. The first pool's keep their numbers; later ones follow them within each problem and model.

    A sample that is there twice (the same key, settings, prompt and text, as far as they were kept) is taken once, with what
    either pool says of it. Provenances and licences are put together.

    Raises BadInput where two pools ask something different under the same id, state different golds, say different things of
    one sample, or have scores of different verifiers.
    """
    where = f"pool {name}"
    for column in ("problem", "gold"):
        stated = pl.concat([pool.frame.select("problem_id", column) for pool in pools]).drop_nulls().unique(maintain_order=True)
        differing = stated.group_by("problem_id", maintain_order=True).agg(column).filter(pl.col(column).list.len() > 1)
        if differing.height:
            problem, texts = differing.row(0)
            one, other, *_ = sorted(texts)
            raise BadInput(f"problem {problem!r} has two {column}s: {one[:60]!r} and {other[:60]!r}", where=where)
    scored = sorted({pool.metadata[VERIFIER] for pool in pools if VERIFIER in pool.metadata and pool.frame["score"].count()})
    if len(scored) > 1:
        raise BadInput(f"scores of {scored[0]} and of {scored[1]} don't compare; merge what one verifier scored", where=where)
    frame = reduce(partial(_joined, where=where), (pool.frame for pool in pools))
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


def _joined(frame: pl.DataFrame, more: pl.DataFrame, *, where: str) -> pl.DataFrame:
    again = _met_again(frame, more)
    for column in _SAID:
        one, other = pl.col(f"{column}_before"), pl.col(column)
        same = (one - other).abs() <= _ROUNDED * (1 + one.abs()) if column == "score" else one == other
        differing = again.filter(~same)
        if differing.height:
            row = differing.row(0, named=True)
            said = f"{row[f'{column}_before']!r:.60} and {row[column]!r:.60}"
            name = f"sample {row['sample_index_before']} of problem {row['problem_id']!r} by {row['model']}"
            raise BadInput(f"{name} is there twice, and {column} is {said}; merge pools that say the same of it", where=where)
    new = [name for name in frame.columns if name not in (*_OF, "sample_index")]
    told = again.select(
        *_OF, pl.col("sample_index_before").alias("sample_index"), *(pl.col(name).alias(f"{name}_") for name in new)
    )
    frame = frame.join(told, on=[*_OF, "sample_index"], how="left", maintain_order="left").select(
        pl.coalesce(name, f"{name}_") if name in new else name for name in frame.columns
    )
    more = more.join(again, on=[*_OF, "sample_index"], how="anti", maintain_order="left").sort(
        "sample_index", maintain_order=True
    )
    last = frame.group_by(_OF).agg(pl.col("sample_index").max().alias("_last"))
    number = pl.col("_last") + 1 + pl.int_range(pl.len()).over(_OF)
    more = more.join(last, on=_OF, how="left", maintain_order="left").with_columns(
        pl.coalesce(number, "sample_index").cast(pl.Int32).alias("sample_index")
    )
    return pl.concat([frame, more.drop("_last")])


def _met_again(frame: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Rows of `more` that are in `frame`, whose columns end in _before. Whether they agree on what is said of it isn't asked."""
    both = more.drop_nulls("key").join(
        frame.drop_nulls("key"), on=[*_OF, "key", "temperature"], nulls_equal=True, suffix="_before", maintain_order="left_right"
    )
    same = [(pl.col(name) == pl.col(f"{name}_before")).fill_null(value=True) for name in ("text", "prompt", "sampling")]
    arrived = pl.col("failed").is_null() == pl.col("failed_before").is_null()
    met = both.filter(arrived, *same)
    for index in ("sample_index", "sample_index_before"):  # each is one sample, also where a key stands for several
        met = met.unique([*_OF, index], keep="first", maintain_order=True)
    return met


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
