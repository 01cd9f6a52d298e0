"""The ordered outcomes of runs in one SQLite file: what makes a killed run resume without paying twice.

Append-only, one row per sample, one writer by a lock file. Rows are buffered and committed in groups: always before a
strategy is told of an outcome, and at the latest `GROUP_SECONDS` after they arrived. WAL with synchronous=NORMAL survives
kill -9; a power loss may lose the last group.

Commits run on the event loop's own thread: with WAL they only copy pages to the file cache (tens of microseconds), less
than handing rows to another thread costs. What can block, moving the WAL into the file, runs on a thread of its own.

Only storage lives here: what a row means for a run is the interpreter's. A reader needs no lock: see `read_rows`.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outthink.core.errors import BadInput, JournalDamaged, JournalLocked, JournalMismatch
from outthink.core.key import Key
from outthink.runtime.rows import COLUMNS, SCHEMA, Outcome, Row, from_row, sent_row, to_row

VERSION = 1
GROUP_SECONDS = 0.005
CHECKPOINT_ROWS = 20_000
NOTES = "notes"
_INSERT = f"INSERT INTO samples ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


@dataclass(slots=True)
class Recorded:
    """What a journal holds of one run.

    samples:  final rows by (path, seq, index)
    sent:     attempts that were sent and have no outcome, by (path, seq, index): they may have cost something
    outcomes: of all other operations, by (path, seq)
    wall_seconds: time the run took before
    """

    samples: dict[tuple[tuple[int, ...], int, int], Row]
    sent: dict[tuple[tuple[int, ...], int, int], list[Row]]
    outcomes: dict[tuple[tuple[int, ...], int], Outcome]
    wall_seconds: float = 0.0


class Journal:
    """One open journal file, or none at all: `Journal(None)` keeps nothing and costs nothing."""

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)
        self._db: sqlite3.Connection | None = None
        self._lock: Any = None
        self._runs: dict[str, int] = {}
        self._samples: list[tuple[object, ...]] = []
        self._outcomes: list[tuple[object, ...]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._since_checkpoint = 0
        self._checkpoint: threading.Thread | None = None

    def open(self, header: Mapping[str, Any], notes: Mapping[str, Any] | None = None) -> bool:
        """Open or make the file; returns whether it already held runs.

        header: plain JSON that fingerprints everything the outcomes depend on; a file made under another header is refused
        notes:  plain JSON that is kept with a new file and not compared, such as how to resume it

        Raises JournalLocked, JournalMismatch naming the field that differs, JournalDamaged, BadInput for an unusable path.
        """
        if self.path is None:
            return False
        import filelock

        if self.path.is_dir() or not self.path.parent.is_dir():
            raise BadInput("is a folder, or lies in a folder that doesn't exist", where=f"journal {self.path}")
        try:
            self._lock = filelock.FileLock(f"{self.path}.lock", timeout=0)
            self._lock.acquire()
        except filelock.Timeout:
            self._lock = None
            raise JournalLocked(f"{self.path} is being written by another process; wait for it or name another journal") from None
        except OSError as error:
            raise BadInput(f"can't be locked: {error.strerror}", where=f"journal {self.path}") from None
        try:
            return self._connect(header, notes or {})
        except BaseException:
            self.close()
            raise

    def _connect(self, header: Mapping[str, Any], notes: Mapping[str, Any]) -> bool:
        try:
            self._db = db = sqlite3.connect(self.path or "", isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA wal_autocheckpoint=0")
            db.executescript(SCHEMA)
            found = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM header")}
        except (sqlite3.DatabaseError, ValueError) as error:
            raise JournalDamaged(f"{self.path} is no journal of ours or is broken: {error}") from None
        wanted = {"version": VERSION, **json.loads(json.dumps(header))}
        if not found:
            rows = [(name, json.dumps(value)) for name, value in (*wanted.items(), (NOTES, notes))]
            db.executemany("INSERT INTO header (name, value) VALUES (?, ?)", rows)
            return False
        for name in dict.fromkeys([*wanted, *found]):
            if name != NOTES and found.get(name) != wanted.get(name):
                raise JournalMismatch(_difference(self.path, name, found.get(name), wanted.get(name)), field=name)
        # Made late: a fresh journal only appends, and an index would cost every insert.
        db.execute("CREATE INDEX IF NOT EXISTS samples_of_run ON samples (run)")
        db.execute("CREATE INDEX IF NOT EXISTS outcomes_of_run ON outcomes (run)")
        self._runs = dict(db.execute("SELECT name, id FROM runs"))
        return bool(self._runs)

    def recorded(self, run: str) -> Recorded | None:
        """All that is known of a run, or None."""
        number = self._runs.get(run)
        if self._db is None or number is None:
            return None
        found = Recorded({}, {}, {})
        (found.wall_seconds,) = self._db.execute("SELECT wall_seconds FROM runs WHERE id = ?", (number,)).fetchone()
        try:
            for values in self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM samples WHERE run = ? ORDER BY rowid", (number,)):
                row = from_row(values)
                at = (row.path, row.seq, row.index)
                if row.state == "sent":
                    found.sent.setdefault(at, []).append(row)
                else:
                    found.samples[at] = row
                    found.sent.pop(at, None)
            query = "SELECT path, seq, kind, digest, value FROM outcomes WHERE run = ? ORDER BY rowid"
            for path, seq, kind, digest, value in self._db.execute(query, (number,)):
                place = tuple(int(part) for part in path.split(".")) if path else ()
                found.outcomes[place, seq] = Outcome(kind, digest, json.loads(value))
        except (ValueError, TypeError, KeyError) as error:
            raise JournalDamaged(f"{self.path} holds a row of run {run} that can't be read: {error}") from None
        return found

    def begin(self, run: str) -> None:
        """Make a run known before its first row."""
        if self._db is not None and run not in self._runs:
            self._runs[run] = len(self._runs) + 1
            self._db.execute("INSERT INTO runs (id, name) VALUES (?, ?)", (self._runs[run], run))

    def end(self, run: str, state: str, answer: str | None, wall_seconds: float) -> None:
        """Note how a run ended, and how long it took over all resumes."""
        if self._db is not None:
            self.flush()
            values = (state, answer, wall_seconds, self._runs[run])
            self._db.execute("UPDATE runs SET state = ?, answer = ?, wall_seconds = ? WHERE id = ?", values)

    def add_sample(self, run: str, row: Row) -> None:
        """Append a sample's row; committed with its group."""
        if self._db is not None:
            self._samples.append(to_row(self._runs[run], row))
            self._schedule()

    def add_sent(self, run: str, key: Key, digest: str, samples: int, prompt: int, max_tokens: int) -> None:
        """Append that an attempt at a sample, and those after it in its request, left: all of it may have been spent.

        samples, prompt, max_tokens: how many it asks for, most prompt tokens, most completion tokens of each
        """
        if self._db is not None:
            self._samples.append(sent_row(self._runs[run], key, digest, samples, prompt, max_tokens))
            self._schedule()

    def add_outcome(self, run: str, key: Key, kind: str, digest: str, value: object) -> None:
        """Append the outcome of another operation (plain JSON); committed with its group."""
        if self._db is not None:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            path = ".".join(map(str, key.path))
            self._outcomes.append((self._runs[run], path, key.seq, kind, digest, text))
            self._schedule()

    def flush(self) -> None:
        """Commit everything that was added. Raises JournalDamaged when the file can't be written (a full disk)."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._db is None or not (self._samples or self._outcomes):
            return
        samples, self._samples = self._samples, []
        outcomes, self._outcomes = self._outcomes, []
        try:
            self._db.execute("BEGIN")
            self._db.executemany(_INSERT, samples)
            self._db.executemany("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", outcomes)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._samples, self._outcomes = samples + self._samples, outcomes + self._outcomes
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise JournalDamaged(f"{self.path} can't be written: {error}") from None
        self._since_checkpoint += len(samples) + len(outcomes)
        if self._since_checkpoint > CHECKPOINT_ROWS and (self._checkpoint is None or not self._checkpoint.is_alive()):
            self._since_checkpoint = 0
            self._checkpoint = threading.Thread(target=_move_wal, args=(self.path,), daemon=True)
            self._checkpoint.start()

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GROUP_SECONDS, self.flush)

    def close(self) -> None:
        """Commit and close; harmless twice."""
        try:
            self.flush()
        finally:
            if self._checkpoint is not None:
                self._checkpoint.join()
            if self._db is not None:
                self._db.close()
                self._db = None
            if self._lock is not None:
                self._lock.release()
                self._lock = None


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a journal file. Raises BadInput where there is no file, JournalDamaged where it is no journal."""
    with closing(_reader(path)) as db:
        try:
            return {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM header")}
        except (sqlite3.DatabaseError, ValueError) as error:
            raise JournalDamaged(f"{path} is no journal of ours or is broken: {error}") from None


def read_rows(path: str | Path) -> Iterator[tuple[str, Row]]:
    """Every final sample row with its run's name, in order of arrival, also while a run is writing."""
    with closing(_reader(path)) as db:
        try:
            names = dict(db.execute("SELECT id, name FROM runs"))
            for values in db.execute(f"SELECT {', '.join(COLUMNS)} FROM samples WHERE state != 'sent' ORDER BY rowid"):
                yield names[values[0]], from_row(values)
        except (sqlite3.DatabaseError, ValueError, TypeError, KeyError) as error:
            raise JournalDamaged(f"{path} is no journal of ours or is broken: {error}") from None


def read_outcomes(path: str | Path, kind: str) -> Iterator[tuple[str, str, int, Any]]:
    """(run, path, seq, value) of every outcome of one kind, in order of arrival."""
    query = (
        "SELECT runs.name, outcomes.path, outcomes.seq, outcomes.value FROM outcomes JOIN runs ON runs.id = outcomes.run "
        "WHERE kind = ? ORDER BY outcomes.rowid"
    )
    with closing(_reader(path)) as db:
        try:
            for name, place, seq, value in db.execute(query, (kind,)):
                yield name, place, seq, json.loads(value)
        except (sqlite3.DatabaseError, ValueError) as error:
            raise JournalDamaged(f"{path} is no journal of ours or is broken: {error}") from None


def _reader(path: str | Path) -> sqlite3.Connection:
    if not Path(path).is_file():
        raise BadInput("there is no such file", where=f"journal {path}")
    return sqlite3.connect(path)


def _move_wal(path: Path | None) -> None:
    with closing(sqlite3.connect(path or "")) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _difference(path: Path | None, name: str, old: object, new: object) -> str:
    def short(value: object) -> str:
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 80 else text[:77] + "..."

    return (
        f"{path} belongs to another run: its {name.replace('_', ' ')} is {short(old)} and is now {short(new)}; "
        "name another journal, or resume with what it was made with (`outthink resume`)"
    )
