"""The journal of each request: kept beside it, whole, redacted, found again, and not for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.core.prompt import Prompt
from outthink.core.selection import Result
from outthink.gateway.config import Records
from outthink.gateway.messages import problem_of
from outthink.gateway.recall import header_of
from outthink.gateway.records import Recorder, safe
from outthink.gateway.retention import sweep
from outthink.gateway.seams import Asked
from outthink.report.run_view.reading import read, setting
from outthink.report.run_view.replay import replay
from outthink.runtime.interpreter import Interpreter
from outthink.runtime.journal import Journal
from outthink.runtime.recorded import read_header, read_rows
from outthink.runtime.spec import Bindings, RunSpec
from outthink.testing.worlds import ToyTask
from tests.gateway.asking import MODEL, WORLD, asked

SECRET_TEXT = "my mail is jane.doe@example.org"


async def run(request: Asked, journal: Journal) -> Result:
    """The run of a request, written to its journal."""
    problem = problem_of(request.prompt)
    spec = RunSpec(request.name, request.strategy.name, problem, request.budget, request.parameters, request.seed)
    bound = Bindings(ToyTask(), MODEL.endpoints, sampling={"generator": request.sampling})
    ledger = MODEL.generator.ledger
    around = request.caller.scope
    return await Interpreter(spec, request.strategy, bound, ledger=ledger, journal=journal, around=around).run()


async def recorded(folder: Path, request: Asked | None = None, **settings: Any) -> tuple[Path | None, Result]:
    """The record of one request, and its result."""
    recorder, request = Recorder(Records(folder=folder, **settings)), request or mailing()
    async with recorder.journal(request) as journal:
        result = await run(request, journal)
    await recorder.close()
    return recorder.find(request.id), result


def files(folder: Path) -> list[Path]:
    """All records."""
    return list(folder.rglob("*.db"))


def mailing(**more: Any) -> Asked:
    return asked(prompt=Prompt.chat(f"{WORLD.problems[0].text} {SECRET_TEXT}"), task="toy", **more)


async def test_a_record_holds_the_whole_run_and_replays_to_the_same_answer(tmp_path: Path) -> None:
    path, result = await recorded(tmp_path)
    assert path is not None
    assert oct(os.stat(path).st_mode)[-3:] == "600"
    header = read_header(path)
    assert (header["kind"], header["strategy"], header["parameters"]["n"], header["seed"]) == ("gateway", "majority", 3, 0)
    assert SECRET_TEXT in header["problems"][1]
    assert [row.text for _, row in read_rows(path)] == [sample.text for sample in result.samples]
    found = read(path)
    assert (found.state, found.answer) == ("finished", result.answer)
    story = await asyncio.to_thread(replay, found, setting(found))
    assert story.selection is not None, story.why_not
    assert story.selection.answer == result.answer


async def test_who_opts_out_is_not_recorded(tmp_path: Path) -> None:
    assert (await recorded(tmp_path, mailing(record=False)))[0] is None
    request = mailing()
    keyed = replace(request, caller=replace(request.caller, record=False))
    assert (await recorded(tmp_path, keyed))[0] is None
    assert not files(tmp_path)


@pytest.mark.parametrize("texts", ["redact", "digest"])
async def test_what_must_not_be_kept_isnt_in_the_file(texts: str, tmp_path: Path) -> None:
    path, result = await recorded(tmp_path, texts=texts, redact=(r"[\w.]+@[\w.]+", "answer is") if texts == "redact" else ())
    assert path is not None
    content = path.read_bytes()
    assert b"jane.doe" not in content
    assert all(sample.text.encode() not in content for sample in result.samples if sample.text)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    kept = [text for (text,) in db.execute("SELECT text FROM samples WHERE state = 'ok'")]
    db.close()
    assert len(kept) == 3
    if texts == "digest":  # equal texts stay equal: the vote can still be seen
        assert len(set(kept)) == len({sample.text for sample in result.samples})
    else:
        assert all("[redacted]" in text for text in kept)
    assert read_header(path)["texts"] == texts
    assert (await recorded(tmp_path / "other", texts="digest"))[0] is not None


async def test_digests_cant_be_compared_between_records(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        path, _ = await recorded(tmp_path / name, texts="digest")
        assert path is not None
        found.append(read_header(path)["problems"][1])
    assert found[0] != found[1]


async def test_a_request_that_goes_on_is_saved_on_the_way(tmp_path: Path) -> None:
    recorder, request = Recorder(Records(folder=tmp_path), seconds=0.01), mailing()
    async with recorder.journal(request) as journal:
        await run(request, journal)
        async with asyncio.timeout(30):
            while recorder.find("req-1") is None:  # noqa: ASYNC110  # a thread writes it
                await asyncio.sleep(0.01)
    await recorder.close()


async def test_a_run_that_is_cancelled_or_fails_leaves_its_record(tmp_path: Path) -> None:
    recorder, request = Recorder(Records(folder=tmp_path)), mailing()
    with contextlib.suppress(RuntimeError):
        async with recorder.journal(request) as journal:
            await run(request, journal)
            raise RuntimeError
    await recorder.close()
    assert recorder.find("req-1") is not None


async def test_an_id_that_comes_twice_replaces_nobodys_record(tmp_path: Path) -> None:
    recorder = Recorder(Records(folder=tmp_path))
    async with recorder.journal(mailing()) as first, recorder.journal(mailing(seed=1)) as second:
        await run(mailing(), first)
        await run(mailing(seed=1), second)
    async with recorder.journal(mailing(seed=2)) as third:
        await run(mailing(seed=2), third)
    await recorder.close()
    await asyncio.sleep(0)
    assert sorted(read_header(path)["seed"] for path in files(tmp_path)) == [0, 1, 2]
    assert not recorder._taken


@given(st.text(max_size=300))
def test_no_id_leaves_the_folder(request_id: str) -> None:
    name = safe(request_id)
    assert name
    assert len(name) <= 120
    assert Path(name).name == name
    assert not name.startswith(".")
    assert name.isascii()


async def test_a_disk_that_is_gone_or_slow_drops_records_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, dropped = tmp_path / "records", []
    recorder = Recorder(Records(folder=folder), dropped=dropped.append)
    shutil.rmtree(folder)
    folder.write_text("no folder")
    request = mailing()
    async with recorder.journal(request) as journal:
        assert (await run(request, journal)).answer is not None
    await recorder.close()
    await asyncio.sleep(0)
    assert dropped
    assert "a record can't be written" in dropped[0]
    monkeypatch.setattr("outthink.gateway.records.MOST_WAITING", 10)
    recorder = Recorder(Records(folder=tmp_path / "again"), dropped=dropped.append)
    async with recorder.journal(request) as journal:
        await run(request, journal)
    await recorder.close()
    assert "too slow" in dropped[-1]
    with pytest.raises(BadInput, match=r"records\.folder"):
        Recorder(Records(folder=folder / "below"))


def test_old_records_go_and_then_the_oldest(tmp_path: Path) -> None:
    now = 1_000_000_000.0
    for age in range(10):
        day = tmp_path / f"2026-01-{10 - age:02}"
        day.mkdir()
        (day / "r.db").write_bytes(b"x" * 100_000)
        (day / "r.db.lock").touch()  # somebody went on with it
        for file in day.iterdir():
            os.utime(file, (now - age * 86_400 - 1, now - age * 86_400 - 1))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.db").write_bytes(b"x" * 900_000)
    os.utime(tmp_path / "notes" / "mine.db", (0, 0))
    assert sweep(Records(folder=tmp_path, days=7), now=lambda: now) == 3
    assert len(list(tmp_path.glob("2026-*"))) == 7
    assert sweep(Records(folder=tmp_path, days=7, megabytes=0.45), now=lambda: now) == 3
    assert sorted(path.name for path in tmp_path.glob("2026-*")) == ["2026-01-07", "2026-01-08", "2026-01-09", "2026-01-10"]
    assert (tmp_path / "notes" / "mine.db").exists()
    assert sweep(Records(), now=lambda: now) == 0


def test_the_header_says_what_a_resume_needs() -> None:
    header = header_of(mailing())
    assert header["budget"] == "1000 tokens"
    assert header["sampling"]["generator"]["temperature"] == 0.7
    assert (header["key"], header["public_model"], header["protocol"], header["request"]) == ("alice", "toy", "chat", "req-1")
