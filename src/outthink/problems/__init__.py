"""Problems from files, standard input, the hub, or Python.

`load` reads everything once and reports every bad row together, by file and line, before anything is used; a file is then
read again, row by row, whenever its problems are iterated, so that a large one is never held in memory. What a row looks
like inside each format is in `readers`, what it means in `rows`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.problems import hub, readers
from outthink.problems.rows import BadRow, Columns, Row

__all__ = ["Columns", "Problems", "load", "read_once"]

SHOWN = 20
"""Bad rows that an error message lists."""

Found = Iterator[tuple[str, Row | BadRow | Problem]]


class Problems:
    """Checked problems, in order. Iterating reads the source again; `len` and `fingerprint` cost nothing.

    source:      what they were read from
    fingerprint: 128 bits of all texts, ids, golds and options, in hexadecimal; equal for equal problems
    Raises BadInput while iterating if the source changed since it was checked.
    """

    def __init__(self, source: str, rows: Callable[[], Found], columns: Columns) -> None:
        self.source, self._rows, self._columns = source, rows, columns
        self._count, self.fingerprint = self._check()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Problem]:
        digest = hashlib.blake2b(digest_size=16)
        for place, row in self._rows():
            try:
                problem = self._problem(row)
            except BadRow as error:
                raise BadInput(f"changed since it was checked: {error}", where=place) from None
            _add(digest, problem)
            yield problem
        if digest.hexdigest() != self.fingerprint:
            raise BadInput("changed since it was checked; start again", where=self.source)

    def _problem(self, row: Row | BadRow | Problem) -> Problem:
        if isinstance(row, BadRow):
            raise row
        return row if isinstance(row, Problem) else self._columns.problem(row)

    def _check(self) -> tuple[int, str]:
        digest = hashlib.blake2b(digest_size=16)
        places: dict[str, str] = {}
        shown: list[str] = []
        rows = bad = 0
        for place, row in self._rows():
            rows += 1
            try:
                problem = self._problem(row)
                if problem.id in places:
                    raise BadRow(f"the id {problem.id!r} was used before, at {places[problem.id]}; every problem needs its own")
            except BadRow as error:
                bad += 1
                if bad <= SHOWN:
                    shown.append(f"\n  {place}: {error}")
            else:
                places[problem.id] = place
                _add(digest, problem)
        if bad:
            more = f"\n  and {bad - SHOWN} more" if bad > SHOWN else ""
            raise BadInput(f"{bad} of {rows} rows can't be used, so that none was:{''.join(shown)}{more}", where=self.source)
        if not rows:
            raise BadInput("holds no problems", where=self.source)
        return rows, digest.hexdigest()


def load(
    source: str | Path | Problems | Iterable[Problem | str | Row],
    *,
    columns: Columns | Mapping[str, str] | None = None,
    limit: int | None = None,
    stdin: IO[bytes] | None = None,
) -> Problems:
    """Problems from `source`:

    - the path of a file: .jsonl, .json, .csv, .tsv, .txt (one problem a line), .parquet; all but Parquet may be gzipped
    - `-`, or a pipe such as /dev/stdin, which is read once and kept: JSON Lines, a JSON list, or one problem a line
    - `hf:owner/name[/configuration][:split]`: a data set of the Hugging Face hub
    - an iterable of problems, texts and mappings, or problems loaded before, which stay as they are

    columns: which columns hold problem, gold, id and options, where their names don't say so; see `Columns`
    limit:   only so many rows from the start; the rest is not even read
    Raises BadInput that lists every bad row, MissingExtra.
    """
    if limit is not None and limit < 1:
        raise BadInput(f"the limit is {limit} and must be at least 1", where="problems")
    if isinstance(source, Problems) and columns is None and limit is None:
        return source
    columns = columns if isinstance(columns, Columns) else Columns(columns or {})
    if isinstance(source, str) and source.startswith("hf:"):
        return _problems(source, lambda: hub.read(source), columns, limit)
    if isinstance(source, str) and source == "-":
        kept = list(islice(readers.read_stream(stdin or sys.stdin.buffer, "standard input"), limit))
        return _problems("standard input", lambda: iter(kept), columns, limit)
    if isinstance(source, str | Path):
        path = Path(source).expanduser()
        if read_once(path):
            kept = list(islice(readers.read(path), limit))
            return _problems(str(path), lambda: iter(kept), columns, limit)
        return _problems(str(path), lambda: readers.read(path), columns, limit)
    items = list(islice(source, limit))
    return _problems("problems", lambda: _items(items), columns, limit)


def read_once(source: str | Path) -> bool:
    """Whether a source gives what it holds only once: standard input, a pipe, a device."""
    path = Path(source).expanduser()
    return str(source) == "-" or (path.exists() and not path.is_file() and not path.is_dir())


def _problems(name: str, rows: Callable[[], Found], columns: Columns, limit: int | None) -> Problems:
    return Problems(name, lambda: islice(rows(), limit), columns)


def _items(items: Sequence[object]) -> Found:
    for number, item in enumerate(items, 1):
        place = f"problems: item {number}"
        if isinstance(item, str):
            yield place, {"problem": item}
        elif isinstance(item, Problem | Mapping):
            yield place, item
        else:
            yield place, BadRow(f"is a {type(item).__name__} and must be a problem, a text or a mapping")


def _add(digest: hashlib.blake2b, problem: Problem) -> None:
    fields = [problem.id, problem.text, problem.gold, problem.options]
    digest.update(json.dumps(fields).encode() + b"\n")
