"""`outthink eval`, against a fake server in another process and against recorded samples."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from outthink.cli.options import budgets, parameters
from outthink.core.budget import Budget
from outthink.core.errors import BadInput, UnknownName
from outthink.evaluation.write import write_pool
from outthink.testing.fake_server import FakeServerProcess, HashWorld
from tests.cli.conftest import Outthink


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,2,4 samples", ["1 sample", "2 samples", "4 samples"]),
        ("4", ["4 samples"]),
        ("30s", ["30 s"]),
        ("1, 2", ["1 sample", "2 samples"]),
        ("1k,2k completion tokens", ["1k completion tokens", "2k completion tokens"]),
        ("16 samples, 20k tokens", ["16 samples, 20k tokens"]),
        ("1 sample; 16 samples, 20k tokens", ["1 sample", "16 samples, 20k tokens"]),
        ("$0.10", ["$0.10"]),
        ("1;4", ["1 sample", "4 samples"]),
    ],
)
def test_budgets(text: str, expected: list[str]) -> None:
    assert [Budget.parse(part) for part in budgets(text)] == [Budget.parse(part) for part in expected]


def test_parameters_go_to_who_has_them() -> None:
    names = ["single", "majority", "self-certainty"]
    assert parameters(["quorum=2", "self-certainty.p=0.25"], names) == {
        "single": {}, "majority": {"quorum": 2}, "self_certainty": {"quorum": 2, "p": 0.25},
    }  # fmt: skip
    with pytest.raises(UnknownName, match="'quorm'; did you mean quorum"):
        parameters(["quorm=2"], names)
    with pytest.raises(UnknownName, match="strategy in --strategies is called 'best_of_n'"):
        parameters(["best_of_n.n=2"], names)
    with pytest.raises(BadInput, match="given twice"):
        parameters(["n=2", "n=3"], names)


def test_a_table_a_report_and_no_journal_left(outthink: Outthink, model: str, problems: Path, tmp_path: Path) -> None:
    said = outthink("eval", str(problems), "--model", model, "--budgets", "1,4 samples", "--report", "out")
    assert said.code == 0, said.err
    assert "majority" in said.out
    assert sorted(path.name for path in Path("out").iterdir()) == ["evaluation.json", "plot.png", "report.html"]
    assert json.loads(Path("out/evaluation.json").read_text())["rows"]
    assert not list((tmp_path / "state").rglob("*.db*"))


def test_json_and_standard_input_and_resume(
    outthink: Outthink, model: str, problems: Path, monkeypatch: pytest.MonkeyPatch, server: FakeServerProcess
) -> None:
    words = ("--model", model, "--budgets", "1,2,4", "--json", "--journal")
    from_file = outthink("eval", str(problems), *words, "a.db").document
    asked = server.metrics()["generated_tokens"]
    resumed = outthink("resume", "a.db", "--json").document
    for row, before in zip(resumed["rows"], from_file["rows"], strict=True):
        assert row.pop("seconds") == pytest.approx(before.pop("seconds"))  # a sum of floats in order of arrival
        assert row == before
    assert server.metrics()["generated_tokens"] == asked
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(problems.read_bytes())))
    piped = outthink("eval", "-", *words, "b.db")
    assert [row["accuracy"] for row in piped.document["rows"]] == [row["accuracy"] for row in from_file["rows"]]
    refused = outthink("resume", "b.db")
    assert refused.code == 2
    assert "same input" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--pool"),
        (["absent.jsonl"], "absent.jsonl"),
        (["problems.jsonl", "--pool", "pool.parquet"], "name either"),
        (["--pool", "absent.parquet"], "absent.parquet"),
        (["problems.jsonl", "--strategies", "single,majorty"], "did you mean majority"),
        (["problems.jsonl", "--column", "gold=answr"], "answr"),
        (["problems.jsonl", "--budgets", "lots"], "'lots' is not understood"),
        (["problems.jsonl", "--strategies", "single,single"], "the strategy 'single' is given twice"),
        (["problems.jsonl", "--budgets", "1,1 samples"], "the budget '1 sample' is given twice"),
    ],
)
def test_what_cannot_be_used_is_refused(outthink: Outthink, model: str, problems: Path, words: list[str], message: str) -> None:
    said = outthink("eval", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert "Traceback" not in said.err


def test_runs_without_an_answer_are_code_1_and_their_journal_is_kept(
    outthink: Outthink, model: str, problems: Path, tmp_path: Path
) -> None:
    said = outthink("eval", str(problems), "--model", model, "--budgets", "2", "--sampling", "max_tokens=1")
    kept = list((tmp_path / "state").rglob("*.db"))
    assert said.code == 1
    assert "100.0%" in said.out
    assert len(kept) == 1
    assert str(kept[0]) in said.err


def test_a_report_that_cannot_be_made_is_refused_before_anything_is_spent(
    outthink: Outthink, model: str, problems: Path, server: FakeServerProcess
) -> None:
    asked = len(server.entries())
    for name in ("/dev/null/report", str(problems)):
        said = outthink("eval", str(problems), "--model", model, "--report", name)
        assert said.code == 2
    assert len(server.entries()) == asked


def test_what_was_paid_for_is_kept_where_the_report_fails(outthink: Outthink, model: str, problems: Path, tmp_path: Path) -> None:
    Path("out/plot.png").mkdir(parents=True)
    said = outthink("eval", str(problems), "--model", model, "--budgets", "1", "--report", "out")
    (kept,) = (tmp_path / "state").rglob("*.db")
    assert said.code != 0
    assert f"outthink resume {kept}" in said.err


def test_recorded_samples_answer_without_a_model(outthink: Outthink) -> None:
    world = HashWorld()
    rows = [
        {
            "problem_id": str(at), "problem": text, "gold": gold, "model": "recorded", "sample_index": index,
            "text": f"It is {answer}.", "answer": answer, "answer_class": answer, "correct": answer == gold,
            "prompt_tokens": 10, "completion_tokens": 5,
        }
        for at, (text, gold) in enumerate(world.problems(5))
        for index in range(8)
        for answer in [gold if index % 3 else f"{gold}0"]
    ]  # fmt: skip
    write_pool("pool.parquet", rows)
    found = outthink("eval", "--pool", "pool.parquet", "--budgets", "1,8 samples", "--json").document
    last = next(row for row in found["rows"] if (row["strategy"], row["budget"]) == ("majority", "8 samples"))
    assert last["accuracy"] == 1
    assert last["completion_tokens"] == 40


def test_a_pool_brings_the_plain_baseline_by_itself_and_leaves_no_journal(outthink: Outthink, tmp_path: Path) -> None:
    rows = [
        {
            "problem_id": str(at), "problem": f"problem {at}", "gold": "7", "model": "recorded", "sample_index": index,
            "answer": answer, "answer_class": answer, "correct": answer == "7", "score": 0.5, "completion_tokens": 5,
        }
        for at in range(4)
        for index in range(8)
        for answer in ["7" if index % 3 else "6"]
    ]  # fmt: skip
    write_pool("pool.parquet", rows)
    said = outthink("eval", "--pool", "pool.parquet", "--strategies", "best-of-n", "--budgets", "1,8", "--report", "out")
    assert said.code == 0, said.err
    assert "majority" in said.out
    assert "front" in said.out
    assert "+ more tokens may have been spent than were counted" in said.out  # prompts were not recorded
    document = json.loads(Path("out/evaluation.json").read_text())
    assert {row["replicates"] for row in document["rows"]} == {4}
    assert [rung["budget"] for rung in document["rungs"]] == ["2 samples", "3 samples", "4 samples", "6 samples"]
    assert not list((tmp_path / "state").rglob("*.db*"))
    assert outthink("compare", "out/evaluation.json", "best-of-n", "majority").code == 0
