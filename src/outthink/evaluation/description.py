"""What a table of recorded samples holds, in numbers and in words. Reading files is `outthink.evaluation.pool`'s."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from outthink.core.errors import BadInput

STATED = ("provenance", "licence")
"""What a pool of ours says of itself."""


def require_stated(metadata: Mapping[str, str], where: str) -> None:
    """Raise BadInput unless provenance and licence are stated: whoever gets the file must know both."""
    for name in STATED:
        if not metadata.get(name, "").strip():
            raise BadInput(f"state its {name} (--{name})", where=where)


def facts(frame: pl.DataFrame, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Plain JSON: counts of problems, samples, failures, grades and conflicts; models; recorded columns; metadata.

    completion_tokens: None where they were not recorded
    samples_each: least and most samples of one problem by one model
    conflicts:    answers that are graded right in one sample and wrong in another
    agreement:    share of a problem's answers that are of its largest class, on average of the problems with several answers;
                  None where there are none
    """
    samples = frame.lazy()
    each = samples.group_by("problem_id", "model").len()
    graded = samples.filter(pl.col("answer").is_not_null() & pl.col("correct").is_not_null())
    # Two grades of one answer are few: only answers that are graded right somewhere can have them.
    right, wrong = (
        graded.filter(pl.col("correct") == grade).select("problem_id", "model", "answer").unique() for grade in (True, False)
    )
    classes = samples.filter(pl.col("answer_class").is_not_null()).group_by("problem_id", "model", "answer_class").len()
    counted = pl.col("len").sum()
    shares = classes.group_by("problem_id", "model").agg(counted, (pl.col("len").max() / counted).alias("share"))
    numbers, groups, both, agreed = pl.collect_all(
        [
            samples.select(
                pl.col("failed").count(), pl.col("answer_class").count().alias("valid"),
                pl.col("correct").count().alias("graded"),
                pl.col("correct").sum().alias("right"), pl.col("completion_tokens").sum(),
                pl.col("completion_tokens").count().alias("counted"),
            ),
            each,
            right.join(wrong, on=["problem_id", "model", "answer"], how="semi").select(pl.len()),
            shares.filter(pl.col("len") > 1).select(pl.col("share").mean()),
        ]
    )  # fmt: skip
    found = numbers.row(0, named=True)
    return {
        "problems": groups["problem_id"].n_unique(),
        "samples": frame.height,
        "samples_each": [groups["len"].min() or 0, groups["len"].max() or 0],
        "models": sorted(groups["model"].unique()),
        "failed": found["failed"],
        "without_answer": frame.height - found["failed"] - found["valid"],
        "graded": found["graded"],
        "right": found["right"],
        "conflicts": both.item(),
        "agreement": agreed.item(),
        "completion_tokens": found["completion_tokens"] if found["counted"] else None,
        "columns": [name for name in frame.columns if frame[name].null_count() < frame.height],
        "metadata": dict(sorted(metadata.items())),
    }


def holds_texts(path: str | Path) -> bool:
    """Whether a pool's file holds any text, without reading them into memory at once."""
    table = pl.scan_parquet(path)
    if "text" not in table.collect_schema():
        return False
    return bool(table.select(pl.col("text").is_not_null().any()).collect(engine="streaming").item())


def described(name: str, found: Mapping[str, Any]) -> str:
    """The facts as a few lines of text."""
    each, problems = dict.fromkeys(map(str, found["samples_each"])), found["problems"]
    right, graded = found["right"], found["graded"]
    lines = [
        f"pool {name}: {problems} problem{'s' * (problems != 1)}, {' to '.join(each)} samples each, {found['samples']} in all",
        f"models: {', '.join(found['models'])}",
        f"failed: {found['failed']}; without an answer: {found['without_answer']}",
        f"graded: {graded}" + (f", right: {right} ({right / graded:.3f})" if graded else ""),
        f"answers of a problem that agree: {'not known' if found['agreement'] is None else format(found['agreement'], '.3f')}",
        f"answers that are graded both right and wrong: {found['conflicts']}",
        f"completion tokens: {'not recorded' if found['completion_tokens'] is None else found['completion_tokens']}",
        f"recorded columns: {', '.join(found['columns'])}",
        *(f"{key}: {value}" for key, value in found["metadata"].items()),
        *(f"{key}: not stated" for key in STATED if key not in found["metadata"]),
    ]
    return "\n".join(lines)
