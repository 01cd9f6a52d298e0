"""What a pool's table looks like and what makes it valid. Reading and writing files is `outthink.evaluation.pool`'s."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from outthink.core.errors import BadInput
from outthink.core.sample import Finish

if TYPE_CHECKING:
    from polars._typing import PolarsDataType  # the only name for "a type of a column"

SCHEMA: Mapping[str, PolarsDataType] = {
    "problem_id": pl.String,
    "problem": pl.String,  # what was asked
    "gold": pl.String,
    "model": pl.String,
    "sample_index": pl.Int32,  # from 0, within the problem and model
    "key": pl.String,  # of the sample in the run that recorded it
    "prompt": pl.String,  # digest of the whole prompt
    "temperature": pl.Float64,
    "sampling": pl.String,  # all settings, as a JSON object
    "text": pl.String,
    "answer": pl.String,
    "answer_class": pl.String,
    "correct": pl.Boolean,
    "finish": pl.String,
    "prompt_tokens": pl.Int64,
    "cached_tokens": pl.Int64,
    "completion_tokens": pl.Int64,
    "mean_logprob": pl.Float64,
    "sum_logprob": pl.Float64,
    "min_logprob": pl.Float64,
    "token_confidence": pl.Float64,
    "self_certainty": pl.Float64,
    "score": pl.Float64,
    "seconds": pl.Float64,
    "failed": pl.String,  # why the sample never arrived
}
"""Column types. Null is "not recorded"; only problem_id, model and sample_index must be there in every row."""

REQUIRED = ("problem_id", "model", "sample_index")
UNIQUE = ("problem_id", "model", "sample_index")
SUMMARY = ("mean_logprob", "sum_logprob", "min_logprob", "token_confidence", "self_certainty")
COUNTS = ("sample_index", "prompt_tokens", "cached_tokens", "completion_tokens")
FLOATS = (*SUMMARY, "score", "seconds", "temperature")

RECORDED_POOLS: Mapping[str, str | None] = {"completion_tokens": "n_tokens", "answer_class": "answer", "finish": None}
"""Column map of pools that name their tokens `n_tokens` and count answers as equal when their texts are."""


def shaped(frame: pl.DataFrame, columns: Mapping[str, str | None], where: str) -> pl.DataFrame:
    """The frame with exactly our columns and types.

    columns: for ours that are called otherwise there: our name to theirs, None to leave it out; missing ones become null

    Raises BadInput naming the column for a missing required one, or one whose values don't fit its type.
    """
    made = []
    for name, dtype in SCHEMA.items():
        source = columns.get(name, name)
        if source is None or source not in frame.columns:
            if columns.get(name) is not None or name in REQUIRED:
                raise BadInput(f"has no column {source!r}; it has {', '.join(frame.columns)}", where=where)
            made.append(pl.lit(None, dtype).alias(name))
            continue
        found = frame.schema[source]
        if dtype != pl.String and found in (pl.String, pl.Categorical):
            raise BadInput(f"column {source!r} holds text and must hold {dtype}", where=where)
        value = pl.col(source)
        if found == pl.Float32:
            value = value.cast(pl.Float64).round(7)  # 0.8 recorded in 32 bits means 0.8
        elif found == pl.Float64 and dtype in (pl.Int32, pl.Int64):
            _refuse(frame.filter(value.is_nan() | (value != value.floor())), where, source, "a whole number")
        made.append(value.cast(dtype).alias(name))
    try:
        return frame.select(made)
    except pl.exceptions.PolarsError as error:
        raise BadInput(f"has values that don't fit their column: {str(error).splitlines()[0]}", where=where) from None


def validate(frame: pl.DataFrame, where: str, first_row: int = 0) -> None:
    """Raise BadInput naming the row and column of the first value that can't be right. Uniqueness is not checked here."""
    rows = frame.with_row_index("_row", first_row)
    for name in REQUIRED:
        _refuse(rows.filter(pl.col(name).is_null()), where, name, "there in every row")
    for name in COUNTS:
        _refuse(rows.filter(pl.col(name) < 0), where, name, "0 or more")
    for name in FLOATS:
        _refuse(rows.filter(~pl.col(name).is_finite()), where, name, "a finite number, or null where there is none")
    _refuse(rows.filter(pl.col("seconds") < 0), where, "seconds", "0 or more")
    _refuse(rows.filter(pl.col("cached_tokens") > pl.col("prompt_tokens")), where, "cached_tokens", "at most prompt_tokens")
    finishes = [finish.value for finish in Finish]
    _refuse(rows.filter(~pl.col("finish").is_in(finishes)), where, "finish", f"one of {', '.join(finishes)}")
    classed = pl.col("answer_class").is_not_null()
    _refuse(rows.filter(pl.col("answer").is_null() & classed), where, "answer", "there where its class is")
    lost = pl.col("failed").is_not_null()
    for name in ("answer", "answer_class"):
        _refuse(rows.filter(lost & pl.col(name).is_not_null()), where, name, "null where the sample failed")
    _refuse(rows.filter(lost & pl.col("correct")), where, "correct", "false or null where the sample failed")
    for text in frame["sampling"].drop_nulls().unique():
        if not _is_object(text):
            _refuse(rows.filter(pl.col("sampling") == text), where, "sampling", "a JSON object")


def unique(frame: pl.DataFrame, where: str) -> None:
    """Raise BadInput for a second row with the same problem, model and sample index."""
    rows = frame.lazy().select(UNIQUE).with_row_index("_row").collect()
    seen = rows.filter(~pl.struct(UNIQUE).is_first_distinct())
    if seen.height:
        row = seen.row(0, named=True)
        name = f"sample {row['sample_index']} of problem {row['problem_id']!r} by {row['model']}"
        raise BadInput(f"row {row['_row']}: {name} was there before", where=where)


def _refuse(bad: pl.DataFrame, where: str, column: str, rule: str) -> None:
    if bad.height:
        at = f"row {bad['_row'][0]}, " if "_row" in bad.columns else ""
        raise BadInput(f"{at}column {column!r}: {bad[column][0]!r} must be {rule}", where=where)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
