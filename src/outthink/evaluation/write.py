"""Writing pools to Parquet in constant memory. What makes a row valid is `outthink.evaluation.schema`'s."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from outthink.core.errors import BadInput, InternalError, shortly
from outthink.evaluation.schema import SCHEMA, UNIQUE, unique, validate

GROUP = 8192
"""Rows of one row group: what is held in memory at once."""


@contextmanager
def replacing(path: Path, where: str) -> Iterator[Path]:
    """A file to write to, which becomes `path` when all of it is there. Raises BadInput where it can't be written."""
    _in_a_folder(path, where)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except (OSError, pl.exceptions.PolarsError) as error:  # Polars has errors of its own for a full disk
        raise _unwritten(error, where) from None
    finally:
        with suppress(OSError):  # what can't be written to, has nothing to delete
            part.unlink(missing_ok=True)


def write_pool(path: str | Path, rows: Iterable[Mapping[str, Any]], metadata: Mapping[str, str] | None = None) -> int:
    """Write rows (by the names of `SCHEMA`; left-out ones are null) to a Parquet file; returns how many.

    Raises BadInput naming the row and column of the first value that can't be right, and whatever `rows` raises.
    """
    with PoolWriter(path, metadata) as writer:
        for row in rows:
            writer.add(row)
    return writer.written


class PoolWriter:
    """Takes rows one by one; a context manager. The file appears, or replaces an older one, when all of it is there and valid.

    metadata: may still grow until the end: where the samples come from ("provenance", "licence"), "alternatives", ...
    """

    def __init__(self, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
        self.path = Path(path)
        self.metadata = dict(metadata or {})
        self.written = 0
        self._where = f"pool {self.path}"
        self._parts = self.path.with_name(f".{self.path.name}.{os.getpid()}.parts")
        self._held: list[Mapping[str, Any]] = []

    def __enter__(self) -> Self:
        _in_a_folder(self.path, self._where)
        try:
            self._parts.mkdir()
        except OSError as error:
            raise _unwritten(error, self._where) from None
        return self

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one row. Raises BadInput naming row and column, for this row or one just before it."""
        if unknown := row.keys() - SCHEMA.keys():
            raise BadInput(f"row {self.written + len(self._held)}: there is no column {min(unknown)!r}", where=self._where)
        self._held.append(row)
        if len(self._held) == GROUP:
            self._write_part()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None:
                self._write_part()
                self._join()
        except (OSError, pl.exceptions.PolarsError) as failed:
            raise _unwritten(failed, self._where) from None
        finally:
            shutil.rmtree(self._parts, ignore_errors=True)

    def _write_part(self) -> None:
        group, self._held = self._held, []
        try:
            frame = pl.DataFrame(group, schema=dict(SCHEMA), strict=True)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            row, name, value = _culprit(group, self.written)
            raise BadInput(f"row {row}, column {name!r}: {shortly(value)} is no {SCHEMA[name]}", where=self._where) from error
        validate(frame, self._where, self.written)
        try:
            frame.write_parquet(self._parts / f"{self.written:012}.parquet")
        except (OSError, pl.exceptions.PolarsError) as failed:
            raise _unwritten(failed, self._where) from None
        self.written += len(group)

    def _join(self) -> None:
        parts, whole = sorted(self._parts.iterdir()), self._parts / "whole"
        unique(pl.read_parquet(parts, columns=list(UNIQUE)), self._where)
        pl.scan_parquet(parts).sink_parquet(whole, row_group_size=GROUP, metadata=self.metadata, engine="streaming")
        whole.replace(self.path)


def _in_a_folder(path: Path, where: str) -> None:
    if not path.parent.is_dir():
        raise BadInput("lies in a folder that doesn't exist", where=where)


def _unwritten(error: Exception, where: str) -> BadInput:
    return BadInput(f"can't be written: {getattr(error, 'strerror', None) or str(error).splitlines()[0]}", where=where)


def _culprit(group: list[Mapping[str, Any]], first: int) -> tuple[int, str, Any]:
    """The row, column and value that no frame can be made of."""
    for row_number, row in enumerate(group, first):
        for name, value in row.items():
            try:
                pl.Series(name, [value], dtype=SCHEMA[name], strict=True)
            except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
                return row_number, name, value
    raise InternalError("a frame can't be made of values that all fit")
