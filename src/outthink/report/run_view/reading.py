"""Reads the runs of a journal file without its lock, also while it is written. What they mean is `replay`'s and `view`'s."""

from __future__ import annotations

import bisect
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outthink.core.errors import BadInput, JournalDamaged, UnknownName
from outthink.core.selection import Stop
from outthink.runtime.recorded import BROKEN, NOTES, Recorded, reader, recorded_of

At = tuple[tuple[int, ...], int, int]
MOST_LISTED = 1000


@dataclass(slots=True)
class Found:
    """One run as it lies in a journal.

    state:   how it ended (a `Stop`), or None where it hasn't
    arrived: wall seconds of the run at which each final row came, None where an older journal doesn't say; in order of arrival
    """

    header: Mapping[str, Any]
    name: str
    state: str | None
    answer: str | None
    recorded: Recorded
    arrived: dict[At, float | None] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """What ended a gateway's request without a result, or ""."""
        notes = self.header.get(NOTES)
        return str(notes.get("error", "")) if isinstance(notes, dict) and self.state == Stop.FAILED else ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run was: as much as its journal's header says.

    strategy, parameters, budget: None where the header doesn't say
    problem: (id, text); the id may be a guess from the run's name and the text may be ""
    """

    strategy: str | None
    parameters: Mapping[str, Any]
    budget: str | None
    problem: tuple[str, str]


def listed(path: str | Path, *, most: int = MOST_LISTED, offset: int = 0) -> dict[str, Any]:
    """The runs of a journal as JSON, oldest first: {"runs": [{name, state, answer, seconds, samples, tokens}], "total"}.

    Raises BadInput where there is no file, JournalDamaged where it is no journal.
    """
    query = (
        "SELECT runs.name, runs.state, runs.answer, runs.wall_seconds, count(samples.state), "
        "sum(samples.prompt_tokens) + sum(samples.completion_tokens) FROM runs LEFT JOIN samples ON samples.run = runs.id "
        "AND samples.state IN ('ok', 'failed') WHERE runs.id IN (SELECT id FROM runs ORDER BY id LIMIT ? OFFSET ?) "
        "GROUP BY runs.id ORDER BY runs.id"
    )
    with closing(reader(path)) as db:
        try:
            (total,) = db.execute("SELECT count(*) FROM runs").fetchone()
            rows = db.execute(query, (most, offset)).fetchall()
        except BROKEN as error:
            raise JournalDamaged(f"{path} is no journal of ours or is broken: {error}") from None
    names = ("name", "state", "answer", "seconds", "samples", "tokens")
    return {"runs": [dict(zip(names, row, strict=True)) for row in rows], "total": total}


def read(path: str | Path, run: str | None = None) -> Found:
    """One run; None: the only one, or the first. Raises UnknownName, BadInput, JournalDamaged."""
    with closing(reader(path)) as db:
        try:
            db.execute("BEGIN")  # one state of the file, whatever is written meanwhile
            header = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM header")}
            query = "SELECT id, name, state, answer FROM runs "
            if run is None:
                row = db.execute(query + "ORDER BY id LIMIT 1").fetchone()
            else:
                row = db.execute(query + "WHERE name = ?", (run,)).fetchone()
            if row is None and run is None:
                raise BadInput("holds no run yet", where=f"journal {path}")
            if row is None:
                known = [name for (name,) in db.execute("SELECT name FROM runs LIMIT 1000")]
                raise UnknownName("run", str(run), known)
            number, name, state, answer = row
            return Found(header, name, state, answer, recorded_of(db, number), _arrivals(db, number))
        except BROKEN as error:
            if isinstance(error, BadInput):  # it is a ValueError too
                raise
            raise JournalDamaged(f"{path} is no journal of ours or is broken: {error}") from None


def _arrivals(db: sqlite3.Connection, number: int) -> dict[At, float | None]:
    has = db.execute("SELECT name FROM sqlite_master WHERE name = 'moments'").fetchone()
    query = "SELECT samples, wall_seconds FROM moments WHERE run = ? ORDER BY samples, wall_seconds"
    moments = db.execute(query, (number,)).fetchall() if has else []
    ends, found = [end for end, _ in moments], {}
    query = "SELECT rowid, path, seq, sample FROM samples WHERE run = ? AND state NOT IN ('sent', 'paid') ORDER BY rowid"
    for rowid, path, seq, index in db.execute(query, (number,)):
        at = bisect.bisect_left(ends, rowid)
        place = tuple(int(part) for part in path.split(".")) if path else ()
        found[place, seq, index] = moments[at][1] if at < len(ends) else None
    return found


def setting(found: Found) -> Setting:
    """What the run was. An evaluation's run names say strategy, budget and problem; every other run is its problem's."""
    header, name = found.header, found.name
    if isinstance(strategies := header.get("strategies"), dict):
        head, _, rest = name.partition("/")
        strategy, _, budget = head.partition("@")
        return Setting(strategy, strategies.get(strategy) or {}, budget, (rest.rpartition("/")[0], ""))
    if header.get("kind") == "record":
        return Setting(None, {}, None, (name.split("/")[1] if name.count("/") > 1 else name, ""))
    problems = header.get("problems")
    problem = (str(problems[0]), str(problems[1])) if isinstance(problems, list) and len(problems) == 2 else (name, "")
    parameters = header.get("parameters")
    return Setting(header.get("strategy"), parameters if isinstance(parameters, dict) else {}, header.get("budget"), problem)
