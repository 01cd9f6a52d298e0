"""`outthink record`: a pool grows to what was asked for, nothing is asked twice, and a stopped recording goes on."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from outthink.evaluation.pool import Pool
from outthink.testing.fake_server import FakeServerProcess
from tests.cli.conftest import Outthink

STATED = ("--provenance", "a test", "--licence", "CC0-1.0")


def test_a_pool_grows_without_asking_again(outthink: Outthink, model: str, problems: Path, server: FakeServerProcess) -> None:
    words = ("record", str(problems), "--model", model, "--pool", "p.parquet", "--engine", "vllm")
    words += ("--logprobs", "5", "--arrays", "--every", "4")
    refused = outthink(*words, "--samples", "2")
    assert (refused.code, "provenance" in refused.err) == (2, True)
    first = outthink(*words, "--samples", "2", *STATED, "--json")
    assert first.code == 0, first.err
    assert first.document == {"pool": "p.parquet", "added": 12, "failed": 0, "samples": 12}
    asked = server.metrics()["generated_tokens"]
    assert outthink(*words, "--samples", "2", "--json").document["added"] == 0
    assert server.metrics()["generated_tokens"] == asked
    assert outthink(*words, "--samples", "5", "--json").document == {"pool": "p.parquet", "added": 18, "failed": 0, "samples": 30}
    assert sorted(path.name for path in Path().iterdir()) == ["p.parquet", "problems.jsonl"]

    pool = Pool.read("p.parquet")
    assert pool.metadata["licence"] == "CC0-1.0"
    assert pool.frame.group_by("problem_id").agg(pl.col("sample_index").sort())["sample_index"].to_list() == [[0, 1, 2, 3, 4]] * 6
    assert pool.frame["key"].n_unique() == 30
    assert pool.frame["correct"].null_count() == 0
    row = pool.frame.row(0, named=True)
    assert len(row["token_logprobs"]) == row["completion_tokens"]
    assert len(row["top_logprobs"]) == 5 * row["completion_tokens"]
    assert row["mean_logprob"] == pytest.approx(sum(row["token_logprobs"]) / row["completion_tokens"], rel=1e-2)
    assert all(ends for ends in pool.frame.filter(pl.col("completion_tokens") > 8)["prefix_ends"].to_list())
    assert outthink("pool", "validate", "p.parquet").code == 0
    asked = outthink("eval", "--pool", "p.parquet", "--budgets", "1,5 samples", "--strategies", "majority")
    assert (asked.code, "Traceback" in asked.err) == (0, False), "the recording says its task, which asks the same prompts"


def test_a_stopped_recording_goes_on(
    outthink: Outthink, model: str, problems: Path, server: FakeServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("record", str(problems), "--model", model, "--pool", "p.parquet", "--samples", "3", *STATED)

    async def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("outthink.record._written", stop)
        stopped = outthink(*words)
    assert stopped.code == 130
    assert "outthink resume" in stopped.err
    asked = server.metrics()["generated_tokens"]
    assert outthink("resume", "p.parquet.journal.db", "--json").document["added"] == 18
    assert server.metrics()["generated_tokens"] == asked
    assert not Path("p.parquet.journal.db").exists()


def test_another_problem_under_the_same_id_is_refused(outthink: Outthink, model: str, problems: Path) -> None:
    words = ("--model", model, "--pool", "p.parquet", "--samples", "1", *STATED)
    Path("a.jsonl").write_text('{"id": "x", "problem": "What is 2 + 2?", "gold": "4"}\n')
    Path("b.jsonl").write_text('{"id": "x", "problem": "What is 2 + 3?", "gold": "5"}\n')
    assert outthink("record", "a.jsonl", *words).code == 0
    refused = outthink("record", "b.jsonl", *words)
    assert refused.code == 2
    assert "another problem under the id 'x'" in refused.err
