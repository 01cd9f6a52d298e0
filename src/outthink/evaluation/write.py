"""Writing pools to Parquet in constant memory. What makes a row valid is `outthink.evaluation.schema`'s."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from outthink.core.errors import BadInput, InternalError
from outthink.evaluation.schema import SCHEMA, unique, validate

GROUP = 8192
"""Rows of one row group: what is held in memory at once."""


def write_pool(path: str | Path, rows: Iterable[Mapping[str, Any]], metadata: Mapping[str, str] | None = None) -> int:
    """Write rows (by the names of `SCHEMA`; left-out ones are null) to a Parquet file; returns how many.

    The file appears, or replaces an older one, only when it is whole and valid.

    Raises BadInput naming the row and column of the first value that can't be right, and whatever `rows` raises.
    """
    path = Path(path)
    where, unfinished = f"pool {path}", path.with_name(f".{path.name}.{os.getpid()}.part")
    if not path.parent.is_dir():
        raise BadInput("lies in a folder that doesn't exist", where=where)
    groups, raised = _frames(rows, where), []
    written = 0

    def source(*_: object) -> Iterator[pl.DataFrame]:
        nonlocal written
        try:
            for frame in groups:
                written += frame.height
                yield frame
        except BaseException as error:  # noqa: BLE001  # polars would wrap it; it is raised below as it is
            raised.append(error)

    try:
        lazy = register_io_source(source, schema=dict(SCHEMA))
        lazy.sink_parquet(unfinished, row_group_size=GROUP, metadata={**(metadata or {})}, engine="streaming")
        if raised:
            raise raised[0]
        unique(pl.read_parquet(unfinished, columns=["problem_id", "model", "sample_index"]), where)
        unfinished.replace(path)
    except OSError as error:
        raise BadInput(f"can't be written: {error}", where=where) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _frames(rows: Iterable[Mapping[str, Any]], where: str) -> Iterator[pl.DataFrame]:
    left, first = iter(rows), 0
    while group := list(islice(left, GROUP)):
        for row_number, row in enumerate(group, first):
            if unknown := row.keys() - SCHEMA.keys():
                raise BadInput(f"row {row_number}: there is no column {min(unknown)!r}", where=where)
        try:
            frame = pl.DataFrame(group, schema=dict(SCHEMA), strict=True)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            row_number, name, value = _culprit(group, first)
            raise BadInput(f"row {row_number}, column {name!r}: {value!r} is no {SCHEMA[name]}", where=where) from error
        validate(frame, where, first)
        yield frame
        first += len(group)


def _culprit(group: list[Mapping[str, Any]], first: int) -> tuple[int, str, Any]:
    """The row, column and value that no frame can be made of."""
    for row_number, row in enumerate(group, first):
        for name, value in row.items():
            try:
                pl.Series(name, [value], dtype=SCHEMA[name], strict=True)
            except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
                return row_number, name, value
    raise InternalError("a frame can't be made of values that all fit")
