"""kill -9 at random moments: what was recorded is never paid for again, and the end is the same."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from outthink.runtime.journal import GROUP_SECONDS
from outthink.runtime.recorded import read_rows
from tests.runtime.killed import MAX_TOKENS, SAMPLES

ROOT = Path(__file__).parents[2]


def carried_out(journal: Path | str, log: Path, results: Path, last: int = 0, seconds: float = 0.0) -> int:
    """The runs in a process of their own, to their end or to its death; its exit status."""
    words = [sys.executable, "-m", "tests.runtime.killed", str(journal), str(log), str(results), str(last), str(seconds)]
    return subprocess.run(words, cwd=ROOT, check=False).returncode


def recorded(journal: Path) -> set[tuple[str, int]]:
    """(run, how-manieth sample of it) of all that the journal holds: operations have three samples each, or all."""
    found = list(read_rows(journal)) if journal.exists() else []
    return {(name, row.index + (row.seq // 2) * 3) for name, row in found}


def calls(log: Path) -> list[tuple[str, int]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [(line.split()[0], int(line.split()[1])) for line in lines]


def without_end(journal: Path) -> set[int]:
    """Attempts that left and at whose samples nothing arrived since."""
    same = "run, path, seq, sample"
    with closing(sqlite3.connect(journal)) as db:
        ended = f"SELECT {same} FROM samples WHERE state = 'ok'"
        return {rowid for (rowid,) in db.execute(f"SELECT rowid FROM samples WHERE state = 'sent' AND ({same}) NOT IN ({ended})")}


@pytest.mark.slow
def test_a_killed_evaluation_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    chance = random.Random(4)
    journal, log, results = tmp_path / "j.db", tmp_path / "calls", tmp_path / "results.json"
    assert carried_out("", tmp_path / "whole_calls", tmp_path / "whole.json") == 0
    alive, lost = 0.0, set[int]()
    # What left is committed within GROUP_SECONDS: some die before that, some after, whatever else the machine does.
    moments = [(chance.randint(2, 10), seconds) for seconds in (0.0, 4 * GROUP_SECONDS, 0.002, 2 * GROUP_SECONDS, 0.0)]
    for last, seconds in (*moments, (0, 0.0)):
        paid, before = recorded(journal), len(calls(log))
        begun = time.monotonic()
        status = carried_out(journal, log, results, last, seconds)
        alive += time.monotonic() - begun
        assert (status, results.exists()) == ((-signal.SIGKILL, False) if last else (0, True))
        assert paid.isdisjoint(calls(log)[before:]), "a recorded sample was asked for again"
        lost |= without_end(journal)
    ended: dict[str, Any] = json.loads(results.read_text())
    expected = json.loads((tmp_path / "whole.json").read_text())
    assert {name: run["told"] for name, run in ended.items()} == {name: run["told"] for name, run in expected.items()}

    attempts = 6 * SAMPLES + len(lost)
    assert len(lost) >= 2, "those that died after the group of their call"
    assert attempts <= len(calls(log)) <= attempts + len(moments) * 4, "only the last milliseconds can go unrecorded"
    usages = [run["usage"] for run in ended.values()]
    assert sum(usage["calls"] for usage in usages) == attempts
    assert sum(usage["unknown_completion_tokens"] for usage in usages) == len(lost) * MAX_TOKENS
    known = [sum(run["usage"]["completion_tokens"] for run in found.values()) for found in (ended, expected)]
    assert known[0] == known[1]
    assert 0 < max(run["wall_seconds"] for run in ended.values()) <= alive
    assert ended["p0"]["wall_seconds"] > 0.03, "the time before a kill counts"
