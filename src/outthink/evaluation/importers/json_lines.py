"""Rows of JSON Lines, CSV or Parquet under whatever names: one sample a row, or one problem a row with a list of samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from outthink.core.errors import BadInput, UnknownName
from outthink.evaluation.importers.common import Foreign, Options, Row
from outthink.evaluation.schema import SCHEMA
from outthink.problems.readers import read as read_rows
from outthink.problems.rows import BadRow

_OF_A_PROBLEM = {"problem_id", "problem", "gold", "model", "sampling", "temperature", "language", "options"}


def read(path: Path, options: Options) -> Foreign:
    """The rows of a file. Raises UnknownName for a column of ours that there isn't."""
    known = {*SCHEMA, "options"}
    for name in options.columns:
        if name not in known:
            raise UnknownName("column of a pool", name, known)
    return Foreign(_rows(path, options), f"imported from {path.name}")


def _rows(path: Path, options: Options) -> Iterator[tuple[str, Row]]:
    for place, row in read_rows(path):
        if isinstance(row, BadRow):
            raise BadInput(str(row), where=place)
        found: Row = {}
        for name in (*SCHEMA, "options"):
            theirs = options.columns.get(name)
            if theirs is None:
                found[name] = row.get(name)
                continue
            there, found[name] = _reach(row, theirs)
            if not there:
                raise BadInput(f"has no column {theirs!r}; it has {', '.join(map(str, row))}", where=place)
        found["model"] = found["model"] or options.model
        for each in _spread(found, place):
            yield place, each


def _spread(row: Row, place: str) -> Iterator[Row]:
    """One row for each sample, where the texts (or else the answers) are a list; what belongs to the problem is the same."""
    count = next((len(row[name]) for name in ("text", "answer") if isinstance(row[name], list)), None)
    if count is None:
        yield row
        return
    lists = {name for name, value in row.items() if isinstance(value, list) and name not in _OF_A_PROBLEM}
    lists = {name for name in lists if not isinstance(SCHEMA[name], pl.List) or _nested(row[name])}
    for name in lists:
        if len(row[name]) != count:
            raise BadInput(f"{name} has {len(row[name])} values for {count} samples", where=place)
    for at in range(count):
        yield {name: value[at] if name in lists else value for name, value in row.items()}


def _nested(values: list[Any]) -> bool:
    return all(value is None or isinstance(value, list) for value in values)


def _reach(row: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    if name in row:
        return True, row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False, None
        value = value[part]
    return True, value
