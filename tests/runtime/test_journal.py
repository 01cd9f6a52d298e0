"""The journal: what goes in comes out, and what is no journal of ours is refused unharmed."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.budget import Usage
from outthink.core.errors import BadInput, JournalDamaged, JournalLocked, JournalMismatch
from outthink.core.key import Key
from outthink.core.logprobs import LogprobNeed, Logprobs
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish
from outthink.core.selection import Selection
from outthink.runtime.journal import Journal
from outthink.runtime.recorded import read_header, read_outcomes, read_rows
from outthink.runtime.rows import Row, clean, from_row, packed, to_row, unpacked
from tests.runtime.running import chosen, run

HEADER = {"model": "m", "seed": 1, "strategies": {"majority": {"n": None}}}
halves = st.floats(-60000, 0, width=16)
text = st.text(st.characters(), max_size=30)


@contextmanager
def opened(path: Path, header: dict[str, Any] = HEADER) -> Iterator[Journal]:
    journal = Journal(path)
    journal.open(header, {"how": "again"})
    try:
        yield journal
    finally:
        journal.close()


@st.composite
def logprobs(draw: st.DrawFn) -> Logprobs:
    tokens, k = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    top = draw(st.lists(halves | st.just(-math.inf), min_size=tokens * k, max_size=tokens * k))
    chosen = draw(st.lists(halves, min_size=tokens, max_size=tokens))
    return Logprobs(array("f", chosen), array("f", top), k, draw(st.integers(0, 9)))


rows = st.builds(
    Row, st.lists(st.integers(-9, 9), max_size=3).map(tuple), st.integers(0, 9), st.integers(0, 9),
    st.sampled_from(["ok", "failed", "refused"]), st.just("0123abcd"), text.map(clean), st.sampled_from(Finish).map(str),
    text.map(clean), st.none() | st.integers(0, 2**40), st.integers(0, 99),
    st.builds(Usage, *[st.integers(0, 2**50)] * 8, usd=st.none() | st.floats(0, 1), seconds=st.floats(0, 1e6)), text.map(clean),
    st.dictionaries(text, st.floats(allow_nan=False)), st.dictionaries(text, text), st.none() | logprobs(),
)  # fmt: skip


@given(rows)
def test_rows_come_back_as_they_were(row: Row) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        values = to_row(1, row)
        got = db.execute(f"SELECT {', '.join('?' * len(values))}", values).fetchone()
    assert from_row(got) == row


@given(st.text(st.characters(), max_size=50))
def test_text_is_stored_whatever_it_is(hostile: str) -> None:
    assert clean(clean(hostile)) == clean(hostile)
    assert len(clean(hostile)) == len(hostile)
    assert clean("naïve \x00 ∑") == "naïve \x00 ∑"
    assert clean("a\ud800b") == "a?b"


def test_log_probabilities_are_small_and_what_cannot_be_is_bounded() -> None:
    data = packed(Logprobs(array("d", [-0.1, 3e38, math.nan, -1e30]), array("d"), 0, 7))
    assert len(data) == 12 + 2 * 4
    assert list(unpacked(data).chosen) == [pytest.approx(-0.1, rel=1e-3), 0.0, -math.inf, -math.inf]


async def fill(path: Path) -> None:
    with opened(path) as journal:
        journal.begin("a run", lambda: 2.5)
        journal.add_sent("a run", Key("a run", (1,), 2, 3), "d", 10, 20, 0.5)
        journal.add_sample("a run", Row((1,), 2, 0, "ok", "d", text="x" * 10**6, finish="eos", usage=Usage(samples=1)))
        journal.add_outcome("a run", Key("a run", (), 5), "invoke", "d", {"hostile": "\ud800\x00", "n": [1, None]})
        journal.flush()


async def test_a_resume_finds_everything(tmp_path: Path) -> None:
    await fill(tmp_path / "j.db")
    with opened(tmp_path / "j.db") as journal:
        found = journal.recorded("a run")
        assert found is not None
        assert journal.recorded("another") is None
    assert len(found.samples[(1,), 2, 0].text) == 10**6
    assert found.sent[(1,), 2, 3][0].usage == Usage(calls=1, unknown_prompt_tokens=10, unknown_completion_tokens=20, usd=0.5)
    assert found.outcomes[(), 5].value == {"hostile": "?\x00", "n": [1, None]}
    assert found.wall_seconds == 2.5
    assert (found.usage().calls, found.usage((1,)).samples, found.usage((2,)).calls) == (1, 1, 0)
    assert read_header(tmp_path / "j.db") == {"version": 1, **HEADER, "notes": {"how": "again"}}
    assert [(name, row.index) for name, row in read_rows(tmp_path / "j.db")] == [("a run", 0)]
    assert [(name, seq) for name, _, seq, _ in read_outcomes(tmp_path / "j.db", "invoke")] == [("a run", 5)]


async def test_clocks_are_written_seldom_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each group says how far the samples went and when; a crash may lose the last of that, never a sample."""
    monkeypatch.setattr("outthink.runtime.clocks.CLOCK_SECONDS", 1e9)
    path, wall = tmp_path / "j.db", iter(range(1, 9))

    def told() -> tuple[int, list[tuple[float, int]], list[float]]:
        with closing(sqlite3.connect(path)) as db:
            [(rows,)] = db.execute("SELECT count(*) FROM samples")
            moments = db.execute("SELECT wall_seconds, samples FROM moments ORDER BY rowid").fetchall()
            return rows, moments, [seconds for (seconds,) in db.execute("SELECT wall_seconds FROM runs ORDER BY id")]

    for first in (0, 4):  # the second time goes on with the file
        with opened(path) as journal:
            journal.begin("a run", lambda: float(next(wall)))
            for index in range(first, first + 3):
                journal.add_sent("a run", Key("a run", (), 0, index), "d", 10, 20, None)
                journal.add_sample("a run", Row((), 0, index, "ok", "d", finish="eos"))
                journal.flush()
            assert told()[0] == (3 if not first else 7)
            if not first:
                assert told()[1:] == ([(1.0, 1)], [1.0]), "the first group's; the others are too near to it"
                journal.end("a run", "finished", None)
                journal.flush()
                assert told() == (3, [(1.0, 1), (2.0, 2), (3.0, 3)], [4.0])
                journal.add_sample("a run", Row((), 0, 3, "ok", "d", finish="eos"))  # it was under way when the run ended
    assert told() == (7, [(1.0, 1), (2.0, 2), (3.0, 3), (5.0, 5), (6.0, 6), (7.0, 7)], [7.0])


@pytest.mark.parametrize(("field", "value"), [("model", "other"), ("seed", 2), ("strategies", {}), ("extra", 1)])
async def test_a_journal_of_another_run_is_refused_by_field(tmp_path: Path, field: str, value: object) -> None:
    await fill(tmp_path / "j.db")
    header = {**HEADER, field: value}
    with pytest.raises(JournalMismatch, match=rf"its {field} is .* and is now") as caught, opened(tmp_path / "j.db", header):
        pass
    assert caught.value.field == field
    with opened(tmp_path / "j.db"):
        pass  # the refusal gave the lock back


async def test_a_refusal_names_the_one_setting_that_differs(tmp_path: Path) -> None:
    header = {"sampling": {"generator": {"temperature": 0.7, "min_p": 0.0, "max_tokens": 8}}}
    (journal := Journal(tmp_path / "run.db")).open(header)
    journal.close()
    header["sampling"]["generator"]["max_tokens"] = 16
    with pytest.raises(JournalMismatch, match="its sampling generator max tokens is 8 and is now 16; ") as raised:
        Journal(tmp_path / "run.db").open(header)
    assert raised.value.field == "sampling"


async def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db"), pytest.raises(JournalLocked, match="another process"), opened(tmp_path / "j.db"):
        pass


@pytest.mark.parametrize("damage", ["text", "truncated", "zeros", "foreign"])
async def test_what_is_no_journal_is_refused_and_not_touched(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "j.db"
    if damage == "foreign":
        with closing(sqlite3.connect(path)) as db:
            db.executescript("CREATE TABLE accounts (name TEXT); INSERT INTO accounts VALUES ('mine');")
    else:
        await fill(path)
        whole = path.read_bytes()
        damaged = {"text": b"my diary\n" * 999, "truncated": whole[:5000], "zeros": whole[:4096] + bytes(len(whole))}
        path.write_bytes(damaged[damage])
    before = path.read_bytes()
    with pytest.raises((JournalDamaged, JournalMismatch)), opened(path) as journal:
        journal.recorded("a run")
    assert damage != "foreign" or path.read_bytes() == before
    for reader in (read_header, lambda path: list(read_rows(path)), lambda path: list(read_outcomes(path, "invoke"))):
        if damage != "truncated":
            with pytest.raises(JournalDamaged):
                reader(path)


@pytest.mark.parametrize(
    "change", ["text = 5, path = 5", "state = 'odd'", "state = 'ok', finish = 'odd'", "logprobs = x'00'", "meta = '{'"]
)
async def test_a_damaged_row_is_told_by_run(tmp_path: Path, change: str) -> None:
    await fill(tmp_path / "j.db")
    with closing(sqlite3.connect(tmp_path / "j.db")) as db:
        db.execute(f"UPDATE samples SET {change}")
        db.commit()
    with opened(tmp_path / "j.db") as journal, pytest.raises(JournalDamaged, match="row of run a run that can't be read"):
        journal.recorded("a run")


async def test_an_empty_file_is_a_new_journal_and_a_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    await fill(tmp_path / "empty.db")
    for path in (tmp_path, tmp_path / "nowhere" / "j.db"):
        with pytest.raises(BadInput, match="folder"), opened(path):
            pass
    with pytest.raises(BadInput, match="no such file"):
        read_header(tmp_path / "none.db")


class FullDisk:
    """A connection whose writes fail while `full`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db, self.full = db, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.db, name)

    def executemany(self, *words: Any) -> Any:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        return self.db.executemany(*words)


async def test_rows_wait_while_the_disk_is_full(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        journal.begin("a run", lambda: 0.0)
        disk: Any = FullDisk(journal._db)  # type: ignore[arg-type]
        journal._db, disk.full = disk, True
        journal.add_sample("a run", Row((), 0, 0, "ok", "d", finish="eos"))
        await asyncio.sleep(0.02)  # the group's timer fails without a word
        with pytest.raises(JournalDamaged, match="can't be written: database or disk is full"):
            journal.flush()
        disk.full = False
        journal.flush()
    assert len(list(read_rows(tmp_path / "j.db"))) == 1


def test_what_was_paid_for_is_committed_before_a_strategy_is_told(tmp_path: Path) -> None:
    path, seen = tmp_path / "j.db", []

    async def body(run: Run, problem: Problem) -> Selection:
        for count in (1, 4, 9):
            await run.generate(problem, count)
            seen.append(len(list(read_rows(path))))
        await run.answers(problem, [])
        assert not list(read_outcomes(path, "invoke")), "it cost nothing, and goes with what comes next"
        handle = await run.start(problem, every=1)
        await run.next([handle])
        assert [len(list(read_outcomes(path, kind))) for kind in ("invoke", "event")] == [1, 1]
        return chosen("done")

    assert run(body, journal=path).answer == "done"
    assert seen == [1, 5, 14]


def test_a_resume_decides_on_the_same_numbers(tmp_path: Path) -> None:
    told = []

    async def body(run: Run, problem: Problem) -> Selection:
        sample = (await run.generate(problem, logprobs=LogprobNeed(2, keep=True)))[0]
        told.append((list(sample.logprobs.chosen), list(sample.logprobs.top), sample.summary, sample.text))  # type: ignore[union-attr]
        return chosen("done")

    for _ in range(2):
        run(body, journal=tmp_path / "j.db")
    assert told[0] == told[1]


def test_changed_code_is_refused_at_its_first_different_operation(tmp_path: Path) -> None:
    async def first(run: Run, problem: Problem) -> Selection:
        await run.generate(problem, 2)
        return chosen((await run.invoke("task", "answers", problem="p", texts=["x"], known=[]))[0][0])

    async def other_prompt(run: Run, problem: Problem) -> Selection:
        await run.generate(problem, 2, temperature=0.1)
        return chosen()

    async def other_kind(run: Run, problem: Problem) -> Selection:
        await run.generate(problem, 2)
        await run.next([await run.start(problem)])
        return chosen()

    async def other_payload(run: Run, problem: Problem) -> Selection:
        await run.generate(problem, 2)
        return chosen(await run.invoke("task", "answers", problem="p", texts=["y"], known=[]))

    run(first, journal=tmp_path / "j.db")
    for changed in (other_prompt, other_kind, other_payload):
        with pytest.raises(JournalMismatch, match="was another operation"):
            run(changed, journal=tmp_path / "j.db")
