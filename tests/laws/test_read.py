"""Files that laws are fitted to: pools, evaluations, tables of counts and of curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from outthink.core.errors import BadInput, UnknownName
from outthink.laws.data import COVERAGE, Counts, Curve
from outthink.laws.read import read


def written(folder: Path, name: str, frame: pl.DataFrame) -> Path:
    path = folder / name
    match path.suffix:
        case ".csv":
            frame.write_csv(path)
        case ".jsonl":
            frame.write_ndjson(path)
        case ".json":
            path.write_text(json.dumps(frame.to_dicts()))
        case _:
            frame.write_parquet(path)
    return path


@pytest.mark.parametrize("name", ["counts.csv", "counts.jsonl", "counts.json", "counts.parquet"])
def test_counts_in_any_table(tmp_path: Path, name: str) -> None:
    frame = pl.DataFrame({"model": ["a", "a", "b"], "n": [10, 10, 20], "right": [1, 2, 3]})
    found = read(written(tmp_path, name, frame), model="a", columns={"c": "right"})
    assert isinstance(found, Counts)
    assert (found.n.tolist(), found.c.tolist(), found.name) == ([10, 10], [1, 2], "a")
    with pytest.raises(BadInput, match="holds 2 models"):
        read(tmp_path / name, columns={"c": "right"})
    with pytest.raises(UnknownName, match="no model in this file"):
        read(tmp_path / name, model="c", columns={"c": "right"})


def test_curves_of_means_and_of_problems(tmp_path: Path) -> None:
    means = read(
        written(
            tmp_path,
            "m.csv",
            pl.DataFrame({"x": [4, 1, 2], "y": [0.5, 0.2, 0.3], "low": [0.4, 0.1, 0.2], "high": [0.6, 0.3, 0.4]}),
        )
    )
    assert isinstance(means, Curve)
    assert means.x.tolist() == [1, 2, 4]
    assert means.y.tolist() == [0.2, 0.3, 0.5]
    assert means.error == pytest.approx(np.full(3, 0.2 / 2 / 1.96), rel=1e-3)
    rows = {"problem": ["a", "a", "b", "b"], "x": [1, 2, 2, 1], "y": [0.0, 1.0, 0.5, 0.5]}
    each = read(written(tmp_path, "e.jsonl", pl.DataFrame(rows)), unit="rounds")
    assert isinstance(each, Curve)
    assert each.scores is not None
    assert each.scores.tolist() == [[0.0, 1.0], [0.5, 0.5]]
    assert each.unit == "rounds"


def pool_rows() -> pl.DataFrame:
    right = [[True, False, True, False], [False, False, False, None], [True, True, True, True]]
    rows = [
        {"problem_id": f"p{p}", "problem": "?", "model": "m", "sample_index": i, "answer": "a" if r else "b", "correct": r,
         "answer_class": "a" if r else "b", "failed": None if r is not None else "lost"}
        for p, each in enumerate(right) for i, r in enumerate(each)
    ]  # fmt: skip
    for row in rows:
        if row["failed"]:
            row["answer"] = row["answer_class"] = None
    return pl.DataFrame(rows, infer_schema_length=None)


def test_a_pool_gives_counts_or_a_selectors_curve(tmp_path: Path) -> None:
    path = written(tmp_path, "pool.parquet", pool_rows())
    counts = read(path)
    assert isinstance(counts, Counts)
    assert counts.metric == COVERAGE
    assert (counts.n.tolist(), counts.c.tolist()) == ([4, 4, 4], [2, 0, 4])  # a sample that never came is not right
    votes = read(path, strategy="majority")
    assert isinstance(votes, Curve)
    assert votes.metric == "majority accuracy"
    assert votes.x.tolist() == [1, 2, 3, 4]
    assert votes.y[[0, -1]] == pytest.approx([0.5, 0.5])
    with pytest.raises(UnknownName, match="selector"):
        read(path, strategy="plurality")
    open_ = pool_rows().with_columns(
        pl.when(pl.col("sample_index") == 1).then(None).otherwise(pl.col("correct")).alias("correct")
    )
    with pytest.raises(BadInput, match="not graded"):
        read(written(tmp_path, "open.parquet", open_))


def evaluation(*, credit: bool) -> dict[str, Any]:
    rows = []
    for strategy, n, right in (("single", 1, [0, 1, 0]), ("majority", 2, [0, 1, 0.5]), ("majority", 8, [0, 1, 1])):
        row: dict[str, Any] = {
            "strategy": strategy, "budget": f"{n} samples", "accuracy": sum(right) / 3, "low": 0.1, "high": 0.9, "samples": n,
            "completion_tokens": 10 * n, "tokens": 15 * n,
        }  # fmt: skip
        rows.append({**row, "credit": dict(zip("abc", right, strict=True))} if credit else row)
    return {"title": "t", "rows": rows}


@pytest.mark.parametrize("credit", [True, False])
def test_an_evaluation_gives_the_curve_of_a_strategy(tmp_path: Path, credit: bool) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(evaluation(credit=credit)))
    found = read(path)
    assert isinstance(found, Curve)
    assert (found.metric, found.unit, found.x.tolist()) == ("accuracy of majority", "tokens", [30, 120])
    assert found.y == pytest.approx([0.5, 2 / 3])
    assert (found.scores is not None, found.error is None) == (credit, credit)
    assert read(path, unit="samples").largest == 8
    with pytest.raises(UnknownName, match="no strategy in this evaluation"):
        read(path, strategy="beam")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "no readable JSON"),
        ("a.json", '{"rows": [{"strategy": "x"}]}', "no evaluation of ours"),
        ("a.json", '{"rows": []}', "no row with an accuracy"),
        ("a.json", "7", "no readable table"),
        ("a.csv", "n\n1\n", "neither columns n and c"),
        ("a.csv", "", "no readable table"),
        ("a.csv", "n,c\n1.5,1\n", "whole numbers"),
        ("a.csv", "n,c\n3,x\n", "must hold a number"),
        ("a.csv", "n,c\n3,5\n", "5 right of 3"),
        ("a.csv", "problem,x,y\na,1,0\nb,2,1\n", "every problem needs a score"),
        ("a.csv", "x,y\n1,0.2\n1,0.3\n", "rise from point to point"),
        ("a.parquet", "no", "no readable table"),
        ("a.txt", "n,c", "must be a .parquet"),
    ],
)
def test_what_is_none_of_these_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=message):
        read(tmp_path / name)
    with pytest.raises(BadInput, match="no such file"):
        read(tmp_path / "missing.csv")
