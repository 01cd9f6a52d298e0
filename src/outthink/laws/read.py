"""What laws are fitted to, from files: a pool, an evaluation of ours, a table of counts, or a table of points of a curve."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from outthink.core.errors import BadInput, UnknownName
from outthink.evaluation.curves import SELECTORS, at_k
from outthink.evaluation.intervals import Z
from outthink.evaluation.pool import Pool
from outthink.laws.data import Counts, Curve, Data

POINTS = 12  # of a curve that is estimated from a pool

Columns = Mapping[str, str | None]


def read(
    path: str | Path,
    *,
    model: str | None = None,
    strategy: str | None = None,
    unit: str | None = None,
    columns: Columns | None = None,
    stopped: bool = False,
) -> Data:
    """Data from a file, told by its ending and its columns.

    .parquet, .csv, .jsonl, .json: with columns n and c, counts per problem; with x and y (and low and high, or problem), a curve
    .parquet:  anything else is a pool
    .json:     with "rows", an evaluation of ours

    model:    of several in the file;  strategy: of an evaluation, or a selector of a pool (by default coverage)
    unit:     "tokens" or "samples", of an evaluation; or what x counts
    columns:  for columns that are called otherwise: our name to theirs
    stopped:  sampling went on until something was right

    Raises BadInput, UnknownName.
    """
    path, columns = Path(path), columns or {}
    if not path.is_file():
        raise BadInput("there is no such file", where=str(path))
    if path.suffix == ".json" and isinstance(found := _json(path), dict) and "rows" in found:
        _means_nothing(path, "an evaluation", model=model, stopped=stopped)
        return from_evaluation(found, path.stem, strategy=strategy, unit=unit)
    frame = _frame(path)
    names = set(frame.columns)
    if {columns.get("n") or "n", columns.get("c") or "c"} <= names:
        _means_nothing(path, "a table of counts", strategy=strategy, unit=unit)
        return _counts(_of_model(frame, model, path), path.stem if model is None else model, columns, stopped)
    if {columns.get("x") or "x", columns.get("y") or "y"} <= names:
        _means_nothing(path, "a table of a curve", strategy=strategy, stopped=stopped)
        return _curve(_of_model(frame, model, path), path.stem, columns, unit)
    if path.suffix == ".parquet":
        _means_nothing(path, "a pool", unit=unit, stopped=stopped)
        pool = Pool.read(path, columns=columns, texts=False)
        return from_pool(pool.of(model) if model is not None else pool, strategy)
    raise BadInput(f"has neither columns n and c, nor x and y; it has {', '.join(sorted(names))}", where=str(path))


def from_pool(pool: Pool, selector: str | None = None) -> Data:
    """Counts of right samples of a pool of one model; or the curve of one of `evaluation.curves.SELECTORS`."""
    name = f"{pool.name}/{pool.one_model()}"
    if selector is None:
        graded = pool.frame.with_columns(pl.col("correct").fill_null(pl.when(pl.col("failed").is_not_null()).then(False)))
        counts = graded.group_by("problem_id", maintain_order=True).agg(
            pl.len().alias("n"), pl.col("correct").sum().alias("c"), pl.col("correct").null_count().alias("open")
        )
        if ungraded := counts.filter(pl.col("open") > 0)["problem_id"].to_list():
            raise BadInput(f"samples of problem {ungraded[0]!r} are not graded", where=f"pool {pool.name}")
        return Counts.of(counts["n"].to_numpy(), counts["c"].to_numpy(), name=name)
    if selector not in SELECTORS:
        raise UnknownName("selector", selector, SELECTORS)
    most = min(pool.rows(problem.id).height for problem in pool.problems)
    ks = np.unique(np.round(np.geomspace(1, most, POINTS)).astype(int))
    scores = np.stack([at_k(pool, SELECTORS[selector], int(k)) for k in ks], axis=1)
    return Curve.of(ks, scores, name=name, metric=f"{selector} accuracy")


def from_evaluation(found: Mapping[str, Any], name: str, *, strategy: str | None = None, unit: str | None = None) -> Curve:
    """The curve of one strategy of an evaluation: accuracy against tokens per problem, or samples where tokens are not known.

    By default the strategy that was run at the most budgets. Raises BadInput, UnknownName.
    """
    try:
        rows = [row for row in found["rows"] if row["accuracy"] is not None]
        names = list(dict.fromkeys(row["strategy"] for row in rows))
        if strategy is not None and strategy not in names:
            raise UnknownName("strategy in this evaluation", strategy, names)
        if not rows:
            raise BadInput("has no row with an accuracy; give problems with gold answers", where=name)
        chosen = strategy or max(names, key=lambda each: len({row["tokens"] for row in rows if row["strategy"] == each}))
        rows = [row for row in rows if row["strategy"] == chosen]
        counted = unit or ("tokens" if all(row["completion_tokens"] for row in rows) else "samples")
        if counted not in ("tokens", "samples"):
            raise BadInput(f"counts tokens and samples, not {counted!r}", where=name)
        by_spend = {float(row[counted]): row for row in sorted(rows, key=lambda row: float(row[counted])) if row[counted] > 0}
        x, kept = np.array(list(by_spend)), list(by_spend.values())
        metric, where = f"accuracy of {chosen}", name
        problems = list(kept[0].get("credit") or ()) if kept else []
        if problems and all(list(row.get("credit") or ()) == problems for row in kept):
            scores = np.array([list(row["credit"].values()) for row in kept], dtype=np.float64).T
            return Curve.of(x, scores, name=where, metric=metric, unit=counted)
        error = [(float(row["high"]) - float(row["low"])) / (2 * Z) for row in kept]
        return Curve.of(x, [float(row["accuracy"]) for row in kept], error=error, name=where, metric=metric, unit=counted)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"is no evaluation of ours: {error!r}", where=name) from None


def _means_nothing(path: Path, kind: str, **given: object) -> None:
    for name, value in given.items():
        if value:
            raise BadInput(f"is {kind}, of which {name} says nothing; leave it out", where=str(path))


def _counts(frame: pl.DataFrame, name: str, columns: Columns, stopped: bool) -> Counts:
    n, c = (_numbers(frame, columns.get(each) or each, name) for each in ("n", "c"))
    if np.any(n != np.floor(n)) or np.any(c != np.floor(c)):
        raise BadInput("n and c must be whole numbers", where=name)
    return Counts.of(n.astype(np.int64), c.astype(np.int64), name=name, stopped=stopped)


def _curve(frame: pl.DataFrame, name: str, columns: Columns, unit: str | None) -> Curve:
    x_name, y_name, problem = (columns.get(each) or each for each in ("x", "y", "problem"))
    given = {"name": name, "unit": unit or "spend"}
    frame = frame.sort(x_name, maintain_order=True)
    if problem in frame.columns:
        wide = frame.pivot(on=x_name, index=problem, values=y_name, aggregate_function="mean", maintain_order=True)
        if any(wide[column].null_count() for column in wide.columns):
            raise BadInput("every problem needs a score at every spend", where=name)
        return Curve.of(np.unique(_numbers(frame, x_name, name)), wide.drop(problem).to_numpy(), **given)
    error = None
    if {"low", "high"} <= set(frame.columns):
        error = (_numbers(frame, "high", name) - _numbers(frame, "low", name)) / (2 * Z)
    return Curve.of(_numbers(frame, x_name, name), _numbers(frame, y_name, name), error=error, **given)


def _numbers(frame: pl.DataFrame, column: str, where: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    found = frame[column]
    if not found.dtype.is_numeric() or found.null_count():
        raise BadInput(f"column {column!r} must hold a number in every row", where=where)
    return np.asarray(found.cast(pl.Float64).to_numpy(), dtype=np.float64)


def _of_model(frame: pl.DataFrame, model: str | None, path: Path) -> pl.DataFrame:
    if "model" not in frame.columns:
        return frame
    known = sorted(str(name) for name in frame["model"].unique())
    if model is None and len(known) > 1:
        raise BadInput(f"holds {len(known)} models ({', '.join(known[:5])}, ...); choose one", where=str(path))
    if model is not None and model not in known:
        raise UnknownName("model in this file", model, known)
    return frame if model is None else frame.filter(pl.col("model") == model)


def _frame(path: Path) -> pl.DataFrame:
    try:
        match path.suffix:
            case ".parquet":
                return pl.read_parquet(path, memory_map=False)
            case ".csv":
                return pl.read_csv(path)
            case ".jsonl":
                return pl.read_ndjson(path, infer_schema_length=None)
            case ".json":
                return pl.DataFrame(_json(path), infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError, TypeError, ValueError) as error:
        raise BadInput(f"is no readable table: {(str(error).splitlines() or ['empty'])[0]}", where=str(path)) from None
    raise BadInput("must be a .parquet, .csv, .jsonl or .json file", where=str(path))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"is no readable JSON: {error}", where=str(path)) from None
