"""From a gateway's records to a pool, and what can then be asked of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import outthink
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.evaluation.description import facts
from outthink.evaluation.pool import Pool
from outthink.evaluation.recorded import RecordedTask
from outthink.gateway.exporting import export_records
from outthink.report.curves import curves
from outthink.runtime.journal import Journal
from tests.gateway.recorded import QUESTION, TOOLS, TURNS, ask_all, recording
from tests.gateway.serving import says

LICENCE = {"licence": "CC0-1.0"}


def rows(pool: Pool, name: str) -> pl.DataFrame:
    """The samples of one request."""
    return pool.frame.filter(pl.col("key").str.contains(f"/request-{name}/", literal=True))


async def test_a_folder_of_records_becomes_a_pool(tmp_path: Path) -> None:
    async with recording(tmp_path) as made:
        await ask_all(made)
        await ask_all(made, "text")  # the same id once more: a record of its own
    found = await export_records(made.folder, tmp_path / "p.parquet", metadata=LICENCE)
    pool = Pool.read(tmp_path / "p.parquet")
    pool.write(tmp_path / "again.parquet")  # it is valid
    assert (found.written, found.skipped) == (pool.frame.height, {})
    assert found.records == len(list(made.folder.rglob("*.db")))
    assert pool.models == ("up",)
    assert "requests for up" in pool.metadata["provenance"]
    assert pool.frame["key"].is_unique().all()

    text = rows(pool, "text")
    assert sorted(text["answer"]) == ["41", "42", "42"]
    assert set(text["finish"]) == {"eos"}
    assert set(text["completion_tokens"]) == {5}
    assert set(text["temperature"]) == {0.7}
    same = pool.frame.filter(pl.col("problem_id") == text["problem_id"][0])  # equal conversations are one problem
    assert same["sample_index"].sort().to_list() == list(range(same.height))
    assert {key.split("/")[1] for key in same["key"]} >= {"request-text", "request-text~2", "request-ranked", "request-failed"}

    called, spelt, apart = rows(pool, "tools").sort("sample_index")["answer_class"]
    assert called == spelt == 'tool calls: {"arguments":{"city":"Oslo"},"name":"weather"}' != apart
    assert sorted(rows(pool, "json")["answer_class"].fill_null("none")) == ['json: {"a":1}', 'json: {"a":1}', "none"]
    assert rows(pool, "math")["answer_class"].to_list().count("1/2") == 2
    assert rows(pool, "must")["answer_class"].null_count() == 2
    assert rows(pool, "turns")["problem"][0].endswith("User: The sum.")
    own = json.loads(rows(pool, "own")["sampling"][0])
    assert (own["temperature"], own["max_tokens"], own["stop"]) == (0.2, 20, ["\n"])
    assert rows(pool, "own")["key"][0].endswith("/request-own/0#0")
    stream = rows(pool, "stream").row(0, named=True)
    assert (stream["temperature"], json.loads(stream["sampling"]).keys()) == (None, {"max_tokens", "stop"})  # the server's own
    assert stream["token_logprobs"] == pytest.approx([-0.1] * 3)
    assert stream["mean_logprob"] == pytest.approx(-0.1)
    assert rows(pool, "failed")["failed"].null_count() == 0


async def test_one_record_and_what_is_none(tmp_path: Path) -> None:
    async with recording(tmp_path / "kept") as made:
        await ask_all(made, "text")
    async with recording(tmp_path / "redacted", texts="digest") as other:
        await ask_all(other, "text")
    target = tmp_path / "p.parquet"
    assert (await export_records(made.record("text"), target, metadata=LICENCE)).written == 3
    with pytest.raises(BadInput, match=r"its texts were redacted as they were written \(records\.texts\), so its samples"):
        await export_records(other.record("text"), tmp_path / "no.parquet", metadata=LICENCE)
    with pytest.raises(BadInput, match=r"give no samples; 1 of them: their texts were redacted"):
        await export_records(other.folder, tmp_path / "no.parquet", metadata=LICENCE)
    with pytest.raises(BadInput, match="holds no records, which are FOLDER/YYYY-MM-DD/ID"):
        await export_records(tmp_path, tmp_path / "no.parquet", metadata=LICENCE)
    with pytest.raises(BadInput, match="state its licence"):
        await export_records(made.folder, tmp_path / "no.parquet", metadata={})
    day = made.record("text").parent
    shutil.copy(other.record("text"), day / "redacted.db")
    (day / "broken.db").write_bytes(b"not a database" * 100)
    journal = Journal(day / "mine.db")
    journal.open({"kind": "solve"})
    journal.close()
    found = await export_records(made.folder, target, metadata=LICENCE)
    assert (found.records, found.written, len(found.skipped)) == (1, 3, 3)
    assert not (tmp_path / "no.parquet").exists()


async def test_golds_brought_along_grade_every_form(tmp_path: Path) -> None:
    golds = [Problem(QUESTION[0]["content"], gold="42"), Problem("something else", gold="0")]
    call = {"name": "weather", "arguments": {"city": "Oslo"}}
    right: dict[str, list[bool]] = {}
    for name, gold in (("text", "42"), ("tools", json.dumps(call)), ("json", '{"a": 1}'), ("math", "0.5")):
        async with recording(tmp_path / name) as made:
            await ask_all(made, name)
        golds[0] = Problem(QUESTION[0]["content"], gold=gold)
        await export_records(made.folder, tmp_path / "p.parquet", problems=golds, metadata=LICENCE)
        right[name] = Pool.read(tmp_path / "p.parquet").frame.sort("sample_index")["correct"].to_list()
    assert all(sorted(each) == [False, True, True] for each in right.values()), right
    async with recording(tmp_path / "x") as made:
        await ask_all(made, "json")
    golds[0] = Problem(QUESTION[0]["content"], gold="forty-two")
    with pytest.raises(BadInput, match="its gold answer is not JSON, and nothing else was asked for"):
        await export_records(made.folder, tmp_path / "p.parquet", problems=golds, metadata=LICENCE)


async def test_a_record_that_its_task_cant_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outthink.gateway.runs._read", lambda task, problem: None)  # made when the task could read it
    async with recording(tmp_path / "kept") as made:
        await ask_all(made, "text")
        await made.ask("odd", outthink={"task": "countdown"})  # leaving writes its record too
    found = await export_records(made.folder, tmp_path / "p.parquet", metadata=LICENCE)
    assert (found.records, found.skipped) == (1, {"their task can't read what was asked": 1})
    with pytest.raises(BadInput, match=r"can't be read by its task: .* no Countdown problem"):
        await export_records(made.record("odd"), tmp_path / "no.parquet", metadata=LICENCE)


def replayed(pool: Pool, **more: Any) -> tuple[dict[str, Any], str]:
    """A vote over the pool at 1 and 2 samples: its figures, and what is said of them."""
    found = outthink.evaluate(
        pool.problems,
        model=pool.backend(sleep=True),
        task=RecordedTask(pool, **more),
        strategies=["majority"],
        budgets=["1 samples", "2 samples"],
        replicates=3,
    )
    return json.loads(found.to_json()), str(found)


async def test_strategies_are_asked_of_it_at_every_budget(tmp_path: Path) -> None:
    """Also where each client had settings of its own."""
    async with recording(tmp_path) as made:
        made.upstream.script = lambda body, at: says(f"Answer: {40 + at % 2}")
        own = {"temperature": 0.2}, {"temperature": 1.0, "top_p": 0.9}, {"stop": ["X"]}, {"max_tokens": 9}
        for at, settings in enumerate(own):
            question = [{"role": "user", "content": f"What is {at}?"}]
            assert await made.ask(f"of-{at}", messages=question, model="up@majority:4", **settings) == 200
        assert await made.ask("turns", messages=TURNS, tools=TOOLS, model="up@majority:4") == 200
    golds = [Problem(f"What is {at}?", gold="41") for at in range(4)]
    await export_records(made.folder, tmp_path / "p.parquet", problems=golds, metadata=LICENCE)
    pool = Pool.read(tmp_path / "p.parquet")
    document, said = await asyncio.to_thread(replayed, pool)
    assert "never recorded" not in said
    assert {row["unanswered"] for row in document["rows"]} == {0.0}
    _, said = await asyncio.to_thread(lambda: replayed(pool, own_settings=False))
    assert "never recorded" in said  # whoever states settings gets these, or a miss
    with pytest.raises(BadInput, match=r"not graded; bring their golds along when it is made \(--problems\)"):
        curves(pool)
    graded = Pool(pool.frame.filter(pl.col("correct").is_not_null()), pool.metadata, "graded")
    assert curves(graded).problems == 4
    assert facts(pool.frame, {})["agreement"] == pytest.approx(0.5)
