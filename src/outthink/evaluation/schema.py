"""What a pool's table looks like and what makes it valid. Reading and writing files is `outthink.evaluation.pool`'s."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import polars as pl

from outthink.core.errors import BadInput
from outthink.core.logprobs import GROUPED
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
    "prompt": pl.String,  # digest of the whole prompt, but for its prefix
    "prefix": pl.String,  # the beginning of the answer that was given, and that the text continues; null: none
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
    "least_confidence": pl.Float64,  # of groups of tokens; how long they are is in the metadata, "window"
    "bottom_confidence": pl.Float64,
    "tail_confidence": pl.Float64,
    "token_logprobs": pl.List(pl.Float32),  # of the sampled tokens, in order
    "top_logprobs": pl.List(pl.Float32),  # of the k likeliest tokens at each place, row by row
    "score": pl.Float64,
    "step_scores": pl.List(pl.Float64),
    "prefix_ends": pl.List(pl.Int32),  # characters of the text at some places on the way, in order
    "prefix_tokens": pl.List(pl.Int32),  # completion tokens by then
    "seconds": pl.Float64,
    "language": pl.String,  # in which it was asked, as a BCP 47 tag
    "failed": pl.String,  # why the sample never arrived
}
"""Column types. Null is "not recorded"; only problem_id, model and sample_index must be there in every row."""

REQUIRED = ("problem_id", "model", "sample_index")
UNIQUE = ("problem_id", "model", "sample_index")
SUMMARY = ("mean_logprob", "sum_logprob", "min_logprob", "token_confidence", "self_certainty", *GROUPED)
COUNTS = ("sample_index", "prompt_tokens", "cached_tokens", "completion_tokens")
FLOATS = (*SUMMARY, "score", "seconds", "temperature")
LISTS_OF_FLOATS = ("token_logprobs", "top_logprobs", "step_scores")
PREFIX = ("prefix_ends", "prefix_tokens")

RECORDED_POOLS: Mapping[str, str | None] = {"completion_tokens": "n_tokens", "answer_class": "answer", "finish": None}
"""Column map of pools that name their tokens `n_tokens` and count answers as equal when their texts are."""


def shaped(frame: pl.DataFrame, columns: Mapping[str, str | None], where: str) -> pl.DataFrame:
    """The frame with exactly our columns and types.

    columns: for ours that are called otherwise there: our name to theirs, None to leave it out; missing ones become null

    NaN among step scores ("the verifier didn't say") becomes null.

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
        if name == "step_scores" and found != pl.Null:
            value = value.cast(dtype).list.eval(pl.element().fill_nan(None))
        made.append(value.cast(dtype).alias(name))
    try:
        return frame.select(made)
    except pl.exceptions.PolarsError as error:
        raise BadInput(f"has values that don't fit their column: {str(error).splitlines()[0]}", where=where) from None


def validate(frame: pl.DataFrame, where: str, first_row: int = 0) -> None:
    """Raise BadInput naming the row and column of the first value that can't be right. Uniqueness is not checked here."""
    rules = _rules()
    broken = frame.lazy().select(bad.any().alias(str(at)) for at, (_, bad, _) in enumerate(rules)).collect().row(0)
    for (name, bad, rule), found in zip(rules, broken, strict=True):
        if found:
            _refuse(frame.with_row_index("_row", first_row).filter(bad), where, name, rule)
    for text in frame["sampling"].drop_nulls().unique():
        if not _is_object(text):
            _refuse(
                frame.with_row_index("_row", first_row).filter(pl.col("sampling") == text), where, "sampling", "a JSON object"
            )


def _rules() -> list[tuple[str, pl.Expr, str]]:
    """(column, where it is wrong, what it must be); looked at all at once, since most rows are right."""
    lost, finishes = pl.col("failed").is_not_null(), [finish.value for finish in Finish]
    rules = [(name, pl.col(name).is_null(), "there in every row") for name in REQUIRED]
    rules += [(name, pl.col(name) < 0, "0 or more") for name in (*COUNTS, "seconds")]
    rules += [(name, ~pl.col(name).is_finite(), "a finite number, or null where there is none") for name in FLOATS]
    rules += [
        ("cached_tokens", pl.col("cached_tokens") > pl.col("prompt_tokens"), "at most prompt_tokens"),
        ("finish", ~pl.col("finish").is_in(finishes), f"one of {', '.join(finishes)}"),
        ("answer", pl.col("answer").is_null() & pl.col("answer_class").is_not_null(), "there where its class is"),
        *((name, lost & pl.col(name).is_not_null(), "null where the sample failed") for name in ("answer", "answer_class")),
        ("correct", lost & pl.col("correct"), "false or null where the sample failed"),
    ]
    ends, counts, top = pl.col("prefix_ends"), pl.col("prefix_tokens"), pl.col("top_logprobs")
    rules += [
        ("prefix_ends", ends.list.len().ne_missing(counts.list.len()), "as many as prefix_tokens"),
        *((name, pl.col(name).list.eval((pl.element().diff() < 0) | (pl.element() < 0)).list.any(), "rising") for name in PREFIX),
        ("prefix_ends", ends.list.last() > pl.col("text").str.len_chars(), "within the text"),
        ("prefix_tokens", counts.list.last() > pl.col("completion_tokens"), "at most completion_tokens"),
        ("top_logprobs", top.list.len() % pl.col("token_logprobs").list.len() != 0, "as many for each token"),
        ("top_logprobs", top.is_not_null() & pl.col("token_logprobs").is_null(), "null without token_logprobs"),
    ]  # fmt: skip
    rules += [(name, pl.col(name).list.eval(pl.element().is_nan()).list.any(), "numbers") for name in LISTS_OF_FLOATS]
    return rules


def unique(frame: pl.DataFrame, where: str) -> None:
    """Raise BadInput for a second row with the same problem, model and sample index."""
    groups = frame.lazy().group_by("problem_id", "model").agg(pl.len(), pl.col("sample_index").n_unique().alias("different"))
    if groups.filter(pl.col("len") != pl.col("different")).collect().height:
        rows = frame.select(UNIQUE).with_row_index("_row")
        row = rows.filter(~pl.struct(UNIQUE).is_first_distinct()).row(0, named=True)
        name = f"sample {row['sample_index']} of problem {row['problem_id']!r} by {row['model']}"
        raise BadInput(f"row {row['_row']}: {name} was there before", where=where)


def unique_keys(frame: pl.DataFrame, where: str) -> None:
    """Raise BadInput for a second sample of a problem and model with the same key: then one was recorded twice."""
    rows = frame.select("problem_id", "model", "key").with_row_index("_row").drop_nulls("key")
    again = rows.filter(~pl.struct("problem_id", "model", "key").is_first_distinct())
    if again.height:
        raise BadInput(f"row {again['_row'][0]}: key {again['key'][0]!r} was there before", where=where)


def _refuse(bad: pl.DataFrame, where: str, column: str, rule: str) -> None:
    if bad.height:
        at = f"row {bad['_row'][0]}, " if "_row" in bad.columns else ""
        value = repr(bad[column].head(1).to_list()[0])
        shown = value if len(value) <= 100 else f"{value[:100]} …"
        raise BadInput(f"{at}column {column!r}: {shown} must be {rule}", where=where)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
