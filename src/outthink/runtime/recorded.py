"""What a journal holds, for its own run and for whoever only reads the file: no lock is needed, also while a run is writing."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BadInput, JournalDamaged, JournalError
from outthink.runtime.rows import COLUMNS, Outcome, Row, from_row

NOTES = "notes"
"""The field of the header that is kept and not compared."""
SECONDS = "session_seconds"
"""The field that grows: how long sessions with this journal were open, where their budget bounds that."""
BROKEN = (sqlite3.DatabaseError, ValueError, TypeError, KeyError, AttributeError, struct.error)
"""What reading a damaged or foreign file may raise."""


@dataclass(slots=True)
class Recorded:
    """What a journal holds of one run.

    samples:  final rows by (path, seq, index)
    sent:     attempts without a final outcome, by (path, seq, index): what they cost, or may have cost
    outcomes: of all other operations, by (path, seq)
    wall_seconds: time the run took before
    """

    samples: dict[tuple[tuple[int, ...], int, int], Row]
    sent: dict[tuple[tuple[int, ...], int, int], list[Row]]
    outcomes: dict[tuple[tuple[int, ...], int], Outcome]
    wall_seconds: float = 0.0
    _by_operation: dict[tuple[tuple[int, ...], int], list[Row]] | None = None

    def of(self, path: tuple[int, ...], seq: int) -> list[Row]:
        """The final rows of one Generate, by index."""
        if self._by_operation is None:
            self._by_operation = {}
            for at in sorted(self.samples):
                self._by_operation.setdefault(at[:2], []).append(self.samples[at])
        return self._by_operation.get((path, seq), [])

    def usage(self, path: tuple[int, ...] = ()) -> Usage:
        """Everything that a child run (the whole run) spent or may have spent."""
        found = [row.usage for at, row in self.samples.items() if at[0][: len(path)] == path]
        found += [row.usage for at, rows in self.sent.items() if at[0][: len(path)] == path for row in rows]
        return sum(found, NOTHING)


def recorded_of(db: sqlite3.Connection, number: int) -> Recorded:
    """All that an open journal holds of one run. Raises one of `BROKEN`."""
    found = Recorded({}, {}, {})
    (found.wall_seconds,) = db.execute("SELECT wall_seconds FROM runs WHERE id = ?", (number,)).fetchone()
    for values in db.execute(f"SELECT {', '.join(COLUMNS)} FROM samples WHERE run = ? ORDER BY rowid", (number,)):
        row = from_row(values)
        at = (row.path, row.seq, row.index)
        if row.state == "sent":
            found.sent.setdefault(at, []).append(row)
        elif row.state == "paid":
            found.sent[at] = [row]
        else:
            found.samples[at] = row
            if row.state != "refused":
                found.sent.pop(at, None)
    query = "SELECT path, seq, kind, digest, value FROM outcomes WHERE run = ? ORDER BY rowid"
    for path, seq, kind, digest, value in db.execute(query, (number,)):
        place = tuple(int(part) for part in path.split(".")) if path else ()
        found.outcomes[place, seq] = Outcome(kind, digest, json.loads(value))
    return found


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a journal file. Raises BadInput where there is no file, JournalDamaged where it is no journal."""
    with closing(reader(path)) as db:
        try:
            return {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM header")}
        except BROKEN as error:
            raise JournalDamaged(f"{path} is no journal of ours or is broken: {error}") from None


def read_rows(path: str | Path) -> Iterator[tuple[str, Row]]:
    """Every final sample row with its run's name, in order of arrival, also while a run is writing."""
    with closing(reader(path)) as db:
        try:
            names = dict(db.execute("SELECT id, name FROM runs"))
            for values in db.execute(f"SELECT {', '.join(COLUMNS)} FROM samples WHERE state != 'sent' ORDER BY rowid"):
                yield names[values[0]], from_row(values)
        except BROKEN as error:
            raise JournalDamaged(f"{path} is no journal of ours or is broken: {error}") from None


def holds_samples(path: Path) -> bool:
    """Whether a journal is there and holds anything that was paid for."""
    try:
        return path.is_file() and any(row.state == "ok" or row.usage.most_tokens for _, row in read_rows(path))
    except JournalError:
        return False  # the error that is under way says what is wrong with it


def read_operations(path: str | Path) -> dict[str, dict[str, Any]]:
    """What samples were asked for, by the digest that their rows have (see `rows.operation_row`)."""
    with closing(reader(path)) as db:
        try:
            return {digest: json.loads(fields) for digest, fields in db.execute("SELECT digest, fields FROM operations")}
        except BROKEN as error:
            raise JournalDamaged(f"{path} is no journal of ours or is broken: {error}") from None


def read_outcomes(path: str | Path, kind: str) -> Iterator[tuple[str, str, int, Any]]:
    """(run, path, seq, value) of every outcome of one kind, in order of arrival."""
    query = (
        "SELECT runs.name, outcomes.path, outcomes.seq, outcomes.value FROM outcomes JOIN runs ON runs.id = outcomes.run "
        "WHERE kind = ? ORDER BY outcomes.rowid"
    )
    with closing(reader(path)) as db:
        try:
            for name, place, seq, value in db.execute(query, (kind,)):
                yield name, place, seq, json.loads(value)
        except BROKEN as error:
            raise JournalDamaged(f"{path} is no journal of ours or is broken: {error}") from None


def reader(path: str | Path) -> sqlite3.Connection:
    """A journal file, open for whoever only reads it. Raises BadInput where there is no file."""
    if not Path(path).is_file():
        raise BadInput("there is no such file", where=f"journal {path}")
    return sqlite3.connect(path)
