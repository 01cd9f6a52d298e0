"""The ordered outcomes of runs in one SQLite file: what makes a killed run resume without paying twice.

Append-only, one row per sample, one writer by a lock file. Rows are buffered and committed in groups: always before a
strategy is told of an outcome that anything was paid for, and at the latest `GROUP_SECONDS` after they arrived. In their
order: what a crash leaves is a beginning of what there was. WAL with synchronous=NORMAL survives kill -9; a power loss may
lose the last group. What the clocks of runs said is written every `CLOCK_SECONDS` only: a crash loses no more of it.

Commits run on the event loop's own thread: with WAL they only copy pages to the file cache (tens of microseconds), less
than handing rows to another thread costs. What can block, moving the WAL into the file, runs on a thread of its own.

Only writing and resuming live here: what a row means for a run is the interpreter's, and who only reads a file finds what it
needs in `recorded`.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BadInput, JournalDamaged, JournalLocked, JournalMismatch
from outthink.core.key import Key
from outthink.core.operation import Generate
from outthink.core.plain import PLAIN
from outthink.runtime.clocks import Clocks
from outthink.runtime.recorded import BROKEN, NOTES, SECONDS, Recorded, recorded_of
from outthink.runtime.rows import COLUMNS, SCHEMA, Row, clean, operation_row, sent_row, to_row

VERSION = 1
GROUP_SECONDS = 0.005
CHECKPOINT_ROWS = 20_000
MOST_NOTED = 4096
_UNWRITABLE = (sqlite3.Error, ValueError, OverflowError)
_INSERT = f"INSERT INTO samples ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


class Journal:
    """One open journal file, or none at all: `Journal(None)` keeps nothing and costs nothing."""

    def __init__(self, path: str | Path | None) -> None:
        self.path = None if path is None else Path(path)
        self._db: sqlite3.Connection | None = None
        self._lock: Any = None
        self._runs: dict[str, int] = {}
        self._clocks = Clocks()
        self._touched: set[str] = set()
        self._rows = 0  # of samples, in the file
        self._begun: list[tuple[object, ...]] = []
        self._samples: list[tuple[object, ...] | None] = []
        self._sent: dict[tuple[object, ...], int] = {}
        self._operations: list[tuple[str, str]] = []
        self._noted: set[str] = set()
        self._outcomes: list[tuple[object, ...]] = []
        self._ended: list[tuple[object, ...]] = []
        self._seconds: Callable[[], float] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
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
        wanted = {"version": VERSION, **json.loads(json.dumps(header))}
        try:
            self._db = db = sqlite3.connect(self.path or "", isolation_level=None)
            # Asked before anything is written: the file may be somebody else's database.
            new = not db.execute("SELECT name FROM sqlite_master").fetchall()
            found = {} if new else {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM header")}
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA wal_autocheckpoint=0")
            if new:
                rows = [(name, json.dumps(value)) for name, value in (*wanted.items(), (NOTES, notes))]
                db.executescript(f"BEGIN; {SCHEMA}")
                db.executemany("INSERT INTO header (name, value) VALUES (?, ?)", rows)
                db.execute("COMMIT")
                return False
        except BROKEN as error:
            raise self._damaged(error) from None
        for name in dict.fromkeys([*wanted, *found]):
            if name not in (NOTES, SECONDS) and found.get(name) != wanted.get(name):
                raise JournalMismatch(_difference(self.path, name, found.get(name), wanted.get(name)), field=name)
        try:
            db.executescript(SCHEMA)  # a journal made before there were moments gets the table for them
            # Made late: a fresh journal only appends, and an index would cost every insert.
            db.execute("CREATE INDEX IF NOT EXISTS samples_of_run ON samples (run)")
            db.execute("CREATE INDEX IF NOT EXISTS outcomes_of_run ON outcomes (run)")
            self._runs = dict(db.execute("SELECT name, id FROM runs"))
            [(self._rows,)] = db.execute("SELECT coalesce(max(rowid), 0) FROM samples")
        except BROKEN as error:
            raise self._damaged(error) from None
        return bool(self._runs)

    def recorded(self, run: str) -> Recorded | None:
        """All that is known of a run, or None."""
        number = self._runs.get(run)
        if self._db is None or number is None:
            return None
        try:
            return recorded_of(self._db, number)
        except BROKEN as error:
            raise JournalDamaged(f"{self.path} holds a row of run {run} that can't be read: {error}") from None

    def usage(self) -> Usage:
        """Everything that all its runs spent or may have spent."""
        recorded = (self.recorded(run) for run in self._runs)
        return sum((each.usage() for each in recorded if each is not None), NOTHING)

    def count_seconds(self) -> float:
        """Seconds that sessions with this journal were open before; from now on this one's are added."""
        if self._db is None:
            return 0.0
        [(before,)] = self._db.execute("SELECT coalesce(max(value), 0.0) FROM header WHERE name = ?", (SECONDS,))
        clock, since = asyncio.get_running_loop().time, asyncio.get_running_loop().time() - float(before)
        self._seconds = lambda: clock() - since
        return float(before)

    def begin(self, run: str, clock: Callable[[], float]) -> None:
        """Make a run known before its first row; `clock` says its wall seconds, which are kept."""
        if self._db is None:
            return
        self._clocks.begin(run, clock)
        if run not in self._runs:
            self._runs[run] = len(self._runs) + 1
            self._begun.append((self._runs[run], run))
            self._schedule(run)

    def end(self, run: str, state: str, answer: str | None) -> None:
        """Note how a run ended, and how long it took over all resumes."""
        if self._db is not None:
            self._schedule(run)
            self._clocks.end(run, self._runs[run])
            self._ended.append((state, None if answer is None else clean(answer), self._runs[run]))

    def add_operation(self, run: str, digest: str, operation: Generate) -> None:
        """Note what samples are asked for, seldom more than once for all operations that ask the same."""
        if self._db is not None and digest not in self._noted:
            if len(self._noted) == MOST_NOTED:
                self._noted.clear()
            self._noted.add(digest)
            self._operations.append(operation_row(digest, operation))
            self._schedule(run)

    def add_sample(self, run: str, row: Row) -> None:
        """Append a sample's row; committed with its group. That its attempt left need not be told then, if it wasn't yet."""
        if self._db is not None:
            sent = self._sent.pop((run, row.path, row.seq, row.index), None) if row.state != "refused" else None
            if sent is not None:
                self._samples[sent] = None
            self._samples.append(to_row(self._runs[run], row))
            self._schedule(run)

    def add_sent(self, run: str, key: Key, digest: str, prompt: int, completion: int, usd: float | None) -> None:
        """Append that an attempt at a sample, and those after it in its request, left: all of it may have been spent.

        prompt, completion, usd: most tokens and money that it can take
        """
        if self._db is not None:
            self._sent[run, key.path, key.seq, key.index] = len(self._samples)
            self._samples.append(sent_row(self._runs[run], key, digest, prompt, completion, usd))
            self._schedule(run)

    def add_outcome(self, run: str, key: Key, kind: str, digest: str, value: object) -> None:
        """Append the outcome of another operation (plain JSON); committed with its group."""
        if self._db is not None:
            text = clean(PLAIN.encode(value))
            path = ".".join(map(str, key.path))
            self._outcomes.append((self._runs[run], path, key.seq, kind, digest, text))
            self._schedule(run)

    def flush(self) -> None:
        """Commit everything that was added. Raises JournalDamaged when the file can't be written (a full disk)."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._db is None or not (self._begun or self._samples or self._outcomes or self._ended or self._closing):
            return
        samples = [row for row in self._samples if row is not None]
        self._clocks.look(((run, self._runs[run]) for run in self._touched), self._rows + len(samples) if samples else None)
        self._touched.clear()
        timed = self._closing or bool(self._ended) or self._clocks.due
        try:
            self._db.execute("BEGIN")
            for insert, rows in (
                ("INSERT INTO runs (id, name) VALUES (?, ?)", self._begun),
                ("INSERT OR IGNORE INTO operations VALUES (?, ?)", self._operations),
                (_INSERT, samples),
                ("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", self._outcomes),
                ("UPDATE runs SET state = ?, answer = ? WHERE id = ?", self._ended),
            ):
                if rows:
                    self._db.executemany(insert, rows)
            if timed:
                self._write_clocks(self._db)
            self._db.execute("COMMIT")
        except _UNWRITABLE as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise JournalDamaged(f"{self.path} can't be written: {error}") from None
        self._rows += len(samples)
        self._since_checkpoint += len(samples) + len(self._outcomes)
        self._begun, self._operations, self._samples, self._outcomes, self._ended = [], [], [], [], []
        self._sent = {}
        if timed:
            self._clocks.written()
        if self._since_checkpoint > CHECKPOINT_ROWS and (self._checkpoint is None or not self._checkpoint.is_alive()):
            self._since_checkpoint = 0
            self._checkpoint = threading.Thread(target=_move_wal, args=(self.path,), daemon=True)
            self._checkpoint.start()

    def _write_clocks(self, db: sqlite3.Connection) -> None:
        clocks = self._clocks
        db.executemany("INSERT INTO moments VALUES (?, ?, ?)", clocks.moments)
        db.executemany("UPDATE runs SET wall_seconds = ? WHERE id = ?", [(wall, run) for run, wall in clocks.walls.items()])
        if self._seconds is not None:
            db.execute("INSERT OR REPLACE INTO header VALUES (?, ?)", (SECONDS, json.dumps(self._seconds())))

    def _schedule(self, run: str) -> None:
        self._touched.add(run)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GROUP_SECONDS, self._flush_group)

    def _flush_group(self) -> None:
        with suppress(JournalDamaged):  # its rows wait: whoever is to be told of one of them meets the error
            self.flush()

    def _damaged(self, error: Exception) -> JournalDamaged:
        return JournalDamaged(f"{self.path} is no journal of ours or is broken: {error}")

    def close(self) -> None:
        """Commit and close; harmless twice."""
        self._closing = self._seconds is not None or bool(self._clocks.walls)  # time passed also where nothing else did
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


def _move_wal(path: Path | None) -> None:
    with closing(sqlite3.connect(path or "")) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _difference(path: Path | None, name: str, old: object, new: object) -> str:
    """Where two headers differ, down to the one setting; texts of problems are only known by a fingerprint."""
    while isinstance(old, dict) and isinstance(new, dict):
        at = next(each for each in sorted({*old, *new}) if old.get(each) != new.get(each))
        if at not in old or at not in new:
            break
        name, old, new = f"{name} {at}", old[at], new[at]

    def short(value: object) -> str:
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 80 else text[:77] + "..."

    differs = f"its {name.replace('_', ' ')} is {short(old)} and is now {short(new)}"
    if name == "problems":
        differs = "its problems were others, or have changed since"
    return f"{path} belongs to another run: {differs}; put that back as it was, or name another journal"
