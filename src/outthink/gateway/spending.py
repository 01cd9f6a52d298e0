"""What each key spent in a day, kept over restarts: one SQLite file, and one ledger scope for each key and day.

The scope is the law: every attempt of every run of a key reserves in it before it is sent, so that requests at the same time
can't overspend together. The file is written ahead: before an attempt leaves, what it may take is covered by what the file
says (in steps of a hundredth of the budget, so that it is rarely written). After kill -9 the file therefore says at least
what was spent; after an orderly end it says exactly that. A power loss may lose the last step (WAL, synchronous=NORMAL).

Who is let in, and when, is `admission`'s.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from outthink.core.budget import Budget
from outthink.core.errors import BadInput, JournalDamaged, JournalLocked
from outthink.runtime.ledger import Ledger, Scope

COLUMNS = ("samples", "calls", "prompt_tokens", "completion_tokens", "tokens", "usd")
KEPT_DAYS = 400
STEPS = 100
_UNLIMITED = Budget(calls=1 << 50)
"""A scope without limits isn't counted by the ledger; this limit only makes it count."""
_AMOUNTS = ", ".join(f"{name} REAL" for name in COLUMNS)
_SCHEMA = f"CREATE TABLE IF NOT EXISTS spent (key TEXT, day TEXT, {_AMOUNTS}, PRIMARY KEY (key, day))"


class Day:
    """One key's spending of one day.

    scope:    what its runs are charged to
    requests: how many are under way or waiting
    covered:  what the file says
    """

    __slots__ = ("covered", "date", "key", "requests", "scope")

    def __init__(self, key: str, on: date, budget: Budget, used: Sequence[float] = (0.0,) * len(COLUMNS)) -> None:
        self.key, self.date = key, on
        self.scope = Scope(f"daily ({key})", Budget())
        self.scope.used = list(used)
        self.covered = list(used)
        self.requests = 0
        self.limit(budget)

    def limit(self, budget: Budget) -> None:
        """Bound it anew; what is under way is bounded from its next attempt on."""
        made = Scope("", budget if budget.limits() else _UNLIMITED)
        self.scope.budget, self.scope.limits, self.scope.bounded = budget, made.limits, True

    @property
    def spent(self) -> dict[str, float]:
        """What was spent, or may have been, by dimension."""
        return dict(zip(COLUMNS, self.scope.used, strict=True))

    @property
    def left(self) -> dict[str, float]:
        """What is neither spent nor reserved, by bounded dimension."""
        known = dict(zip(COLUMNS, range(len(COLUMNS)), strict=True))
        bounds = {name: limit for name, limit in self.scope.budget.limits().items() if name in known}
        return {name: max(0.0, self.scope.room(known[name], limit)) for name, limit in bounds.items()}


class Spending:
    """All keys' spending.

    folder: where the file lies; None keeps nothing
    zone:   where days begin
    now:    seconds since the epoch
    """

    def __init__(self, folder: Path | None, zone: str = "UTC", *, now: Callable[[], float] = time.time) -> None:
        self.path = None if folder is None else folder / "spending.db"
        self.ledger = Ledger()
        self._zone, self._now = ZoneInfo(zone), now
        self._days: dict[tuple[str, date], Day] = {}
        self.unwritable = False
        self._db: sqlite3.Connection | None = None
        self._lock: Any = None

    def open(self) -> None:
        """Open or make the file. Raises JournalLocked where another gateway has it, JournalDamaged, BadInput."""
        if self.path is None:
            return
        import filelock

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = filelock.FileLock(f"{self.path}.lock", timeout=0)
            self._lock.acquire()
        except filelock.Timeout:
            self._lock = None
            raise JournalLocked(f"{self.path} is in use by another gateway; give each its own server.state") from None
        except OSError as error:
            raise BadInput(f"can't be used: {error.strerror or error}", where=f"server.state {self.path.parent}") from None
        try:
            self._db = db = sqlite3.connect(self.path, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(_SCHEMA)
            db.execute("DELETE FROM spent WHERE day < ?", ((self.today() - timedelta(days=KEPT_DAYS)).isoformat(),))
        except sqlite3.Error as error:
            self.close()
            raise JournalDamaged(f"{self.path} is no record of spending or is broken: {error}; move it away") from None

    def close(self) -> None:
        """Write what was spent, exactly, and close; harmless twice."""
        with suppress(sqlite3.Error):
            self.flush()
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def today(self) -> date:
        """The day that it is where days begin."""
        return datetime.fromtimestamp(self._now(), self._zone).date()

    def seconds_to_midnight(self) -> float:
        """Until daily budgets begin anew."""
        now = datetime.fromtimestamp(self._now(), self._zone)
        tomorrow = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), self._zone)
        return max(1.0, tomorrow.timestamp() - now.timestamp())

    def day(self, key: str, budget: Budget) -> Day:
        """Today's spending of the key of that name, bounded by `budget`."""
        today = self.today()
        found = self._days.get((key, today))
        if found is None:
            self._forget(today)
            found = self._days[key, today] = Day(key, today, budget, self._read(key, today))
        elif found.scope.budget != budget:
            found.limit(budget)
        return found

    def days(self) -> list[Day]:
        """Of all keys that asked lately, those whose day it is."""
        today = self.today()
        return [day for day in self._days.values() if day.date == today]

    def cover(self, day: Day) -> None:
        """Make the file say at least what was spent and what is reserved now; called before an attempt leaves.

        Where that fails (a full disk) `unwritable` says so, and nobody is let in until it succeeds again.
        """
        scope = day.scope
        short = [i for i, _ in scope.limits if scope.used[i] + scope.reserved[i] > day.covered[i]]
        if short and self._db is not None:
            covered = [used + reserved for used, reserved in zip(scope.used, scope.reserved, strict=True)]
            for i, limit in scope.limits:
                covered[i] = max(covered[i], min(covered[i] + limit / STEPS, limit))
            with suppress(JournalDamaged):
                self._write([(day, covered)])
                day.covered = covered

    def flush(self) -> None:
        """Write what every key spent; what is reserved counts as spent until it is settled."""
        changed = []
        for day in self._days.values():
            exact = [used + reserved for used, reserved in zip(day.scope.used, day.scope.reserved, strict=True)]
            if exact != day.covered or self.unwritable:
                changed.append((day, exact))
        if self._db is not None and changed:
            self._write(changed)
            for day, exact in changed:
                day.covered = exact

    def _forget(self, today: date) -> None:
        """Let go of past days that nothing is under way in."""
        self.flush()
        for at, day in list(self._days.items()):
            if day.date < today and not day.requests:
                del self._days[at]

    def _read(self, key: str, on: date) -> list[float]:
        if self._db is None:
            return [0.0] * len(COLUMNS)
        query = f"SELECT {', '.join(COLUMNS)} FROM spent WHERE key = ? AND day = ?"
        row = self._db.execute(query, (key, on.isoformat())).fetchone()
        return [0.0] * len(COLUMNS) if row is None else [float(value or 0) for value in row]

    def _write(self, rows: list[tuple[Day, list[float]]]) -> None:
        assert self._db is not None
        places = ", ".join("?" * (2 + len(COLUMNS)))
        try:
            self._db.execute("BEGIN")
            values = [(day.key, day.date.isoformat(), *amounts) for day, amounts in rows]
            self._db.executemany(f"INSERT OR REPLACE INTO spent VALUES ({places})", values)
            self._db.execute("COMMIT")
            self.unwritable = False
        except sqlite3.Error as error:
            self.unwritable = True
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise JournalDamaged(f"{self.path} can't be written: {error}") from None


def history(folder: Path, key: str, days: int) -> list[dict[str, Any]]:
    """What a key spent on each of the last days, newest first; also while a gateway has the file open. Raises JournalDamaged."""
    path = folder / "spending.db"
    if not path.is_file():
        return []
    query = f"SELECT day, {', '.join(COLUMNS)} FROM spent WHERE key = ? ORDER BY day DESC LIMIT ?"
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
            return [dict(zip(("day", *COLUMNS), row, strict=True)) for row in db.execute(query, (key, days))]
    except sqlite3.Error as error:
        raise JournalDamaged(f"{path} is no record of spending or is broken: {error}") from None
