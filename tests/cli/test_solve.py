"""`outthink solve` and `outthink resume`, against a fake server in another process."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outthink.testing.fake_server import FakeServerProcess, FakeSettings
from tests.cli.conftest import Outthink

PROBLEM = "Case 3: which number is hidden in this case?"


def sampled(server: FakeServerProcess) -> int:
    """Requests that generated anything."""
    return sum(entry["generated"] > 0 for entry in server.entries())


def left_over(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "state").rglob("*.db*"))


def test_the_answer_alone_goes_to_stdout_and_nothing_is_left(outthink: Outthink, model: str, tmp_path: Path) -> None:
    said = outthink("solve", PROBLEM, "--model", model, "--budget", "4 samples")
    assert (said.code, said.err) == (0, "")
    assert said.out.strip().isdigit()
    assert not left_over(tmp_path)


def test_json_says_what_was_spent_and_on_what(outthink: Outthink, model: str) -> None:
    found = outthink("solve", PROBLEM, "--model", model, "--param", "n=3", "--json").document
    assert found["usage"]["samples"] == len(found["samples"]) == sum(found["votes"].values()) == 3
    assert found["usage"]["completion_tokens"] == sum(sample["tokens"] for sample in found["samples"])
    assert found["answer"] in found["votes"]
    assert found["stop"] == "finished"


def test_only_what_fills_a_budget_is_given_one(outthink: Outthink, model: str) -> None:
    """A search ends by itself: cut after the 16 samples that a vote is given it would have no answer."""
    pytest.importorskip("xllamacpp")
    search = ("--task", "countdown", "--strategy", "beam_search", "--verifier", "solver")
    assert outthink("solve", PROBLEM, "--model", model, "--json").document["usage"]["samples"] == 16
    found = outthink("solve", "make 59 from 5 6 13 25", "--model", "tiny", "--json", *search).document
    assert (found["stop"], found["usage"]["samples"] > 16, found["answer"] is None) == ("finished", True, False)


def test_the_problem_may_come_from_standard_input(
    outthink: Outthink, model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "problem").write_text(PROBLEM + "\n")
    with (tmp_path / "problem").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        piped = outthink("solve", "-", "--model", model, "--param", "n=2")
    assert piped.out == outthink("solve", PROBLEM, "--model", model, "--param", "n=2").out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--strategy", "majorty"], 2, "did you mean majority"),
        (["--strategy", "best_of_n"], 2, "--verifier NAME"),
        (["--strategy", "best_of_n", "--verifier", "exact"], 2, "looks at the gold answer"),
        (["--budget", "8 smaples"], 2, "'8 smaples' is not understood"),
        (["--param", "m=3"], 2, "no parameter"),
        (["--param", "n"], 2, "'n' is not KEY=VALUE"),
        (["--sampling", "temperatur=1"], 2, "did you mean temperature"),
        (["--sampling", "temperature=hot"], 2, "temperature is 'hot'"),
        (["--task", "maths"], 2, "did you mean math"),
        (["--timeout", "0"], 2, "--timeout"),
        (["--price", "prompt=cheap"], 2, "usd per million tokens"),
        (["--budget", "5 tokens"], 3, "budget of tokens is spent"),
        (["--budget", "0 tokens"], 2, "admits nothing"),
        (["--task", "countdown"], 2, "write `make 59 from 5 6 13 25`"),
        (["--task", "calc", "--strategy", "single"], 2, "write `calc 37*4-18`"),
        (["--task", "choice", "--strategy", "self_refine"], 2, "a line each: `A) four`"),
        (["--model", "http://127.0.0.1:9"], 4, "127.0.0.1:9"),
        (["--model", "gpt"], 2, "'gpt' names no model"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_its_code(
    outthink: Outthink, model: str, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    said = outthink("solve", PROBLEM, "--model", model, *words)
    assert (said.code, said.out) == (code, "")
    assert message in said.err
    assert "Traceback" not in said.err
    assert not left_over(tmp_path)


def test_a_server_that_fails_for_good_is_code_4(outthink: Outthink) -> None:
    with FakeServerProcess(FakeSettings(context_length=1)) as small:
        said = outthink("solve", PROBLEM, "--model", f"{small.url}#fake", "--budget", "2 samples")
    assert said.code == 4
    assert "context" in said.err


def test_a_strategy_of_ones_own_is_found_in_the_working_folder(tmp_path: Path, model: str) -> None:
    (tmp_path / "mine.py").write_text(
        "import outthink\n\n\n"
        '@outthink.strategy("first")\n'
        "async def first(run, problem):\n"
        '    """The first of two samples."""\n'
        "    await run.generate(problem, 2)\n"
        '    return outthink.Selection("mine")\n'
    )
    # -P keeps the folder out of the path, as the installed command does
    words = [sys.executable, "-P", "-m", "outthink", "solve", PROBLEM, "--model", model, "--strategy", "mine:first"]
    said = subprocess.run(words, cwd=tmp_path, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "mine\n"), said.stderr


def test_what_was_never_paid_for_is_not_kept(outthink: Outthink, server: FakeServerProcess, tmp_path: Path) -> None:
    said = outthink("solve", PROBLEM, "--model", f"{server.url}#nobody")
    assert said.code == 4
    assert "resume" not in said.err
    assert not left_over(tmp_path)


def test_a_setting_that_proves_wrong_on_the_way_says_that_what_was_spent_is_recorded(outthink: Outthink) -> None:
    """Scores that can't be weights are known when they come."""
    pytest.importorskip("xllamacpp")
    words = ("--model", "tiny", "--task", "countdown", "--strategy", "weighted_majority", "--verifier", "mean_logprob")
    said = outthink("solve", "make 59 from 5 6 13 25", *words, "--param", "n=2")
    assert said.code == 2
    assert "is no weight: it must be 0 or more" in said.err
    assert "what was paid for is recorded; go on with the same settings by:\n  outthink resume" in said.err


def test_settings_come_from_the_file_and_a_flag_wins(outthink: Outthink, model: str) -> None:
    Path("outthink.toml").write_text(f'model = "{model}"\n[solve.param]\nn = 3\n')
    assert outthink("solve", PROBLEM, "--json").document["usage"]["samples"] == 3
    assert outthink("solve", PROBLEM, "--json", "--param", "n=2").document["usage"]["samples"] == 2
    Path("budgets.toml").write_text(f'model = "{model}"\n[eval]\nbudgets = ["1 sample", "2 samples, 9k tokens", 4]\n')
    Path("problems.txt").write_text(PROBLEM)
    rows = outthink("--config", "budgets.toml", "eval", "problems.txt", "--strategies", "single", "--json").document["rows"]
    assert [row["budget"] for row in rows] == ["1 sample", "2 samples, 9000 tokens", "4 samples"]
    Path("other.toml").write_text("stratgy = 'single'\n")
    said = outthink("--config", "other.toml", "solve", PROBLEM)
    assert said.code == 2
    assert "did you mean strategy" in said.err


def test_what_a_journal_holds_is_not_paid_again(outthink: Outthink, model: str, server: FakeServerProcess) -> None:
    words = ("solve", PROBLEM, "--model", model, "--param", "n=3", "--journal", "run.db", "--json")
    first = outthink(*words).document
    before = sampled(server)
    assert outthink(*words).document["answer"] == first["answer"]
    assert outthink("resume", "run.db", "--json").document["answer"] == first["answer"]
    assert sampled(server) == before
    other = outthink(*words, "--seed", "1")
    assert other.code == 2
    assert "its seed is 0 and is now 1" in other.err


@pytest.mark.parametrize("make", ["missing", "text", "foreign"])
def test_a_journal_that_cannot_be_resumed_is_refused(outthink: Outthink, make: str) -> None:
    if make == "text":
        Path("run.db").write_text("no journal" * 1000)
    elif make == "foreign":
        with sqlite3.connect("run.db") as db:
            db.execute("CREATE TABLE header (name, value)")
        db.close()
    said = outthink("resume", "run.db")
    assert said.code == 2
    assert "run.db" in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_run_that_the_printed_command_resumes(tmp_path: Path, sent: signal.Signals, code: int) -> None:
    with FakeServerProcess(FakeSettings(latency=0.2, slots=1)) as slow:
        command = [
            sys.executable, "-m", "outthink", "solve", PROBLEM, "--model", f"{slow.url}#fake", "--param", "n=12",
            "--concurrency", "1", "--json", "--journal", "run.db",
        ]  # fmt: skip
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            while sampled(slow) < 3:
                assert running.poll() is None, running.communicate()
                time.sleep(0.01)
            running.send_signal(sent)
            out, err = running.communicate(timeout=100)
        assert running.returncode == code, err
        assert "Traceback" not in err
        resume = json.loads(out)["resume"].split()
        assert " ".join(resume) in err
        assert sampled(slow) < 12
        done = subprocess.run(
            [sys.executable, "-m", "outthink", *resume[1:], "--json"], cwd=tmp_path, capture_output=True, check=True
        )
        assert json.loads(done.stdout)["usage"]["samples"] == 12
        assert sampled(slow) <= 13  # one was under way


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_answer_that_cannot_be_written_is_still_recorded(model: str, tmp_path: Path, server: FakeServerProcess) -> None:
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [sys.executable, "-m", "outthink", "solve", PROBLEM, "--model", model, "--param", "n=3"]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert ended.returncode == 74, ended.stderr
    (kept,) = (tmp_path / "state").rglob("*.db")
    assert f"outthink resume {kept}" in ended.stderr
    before = sampled(server)
    words = [sys.executable, "-m", "outthink", "resume", str(kept)]
    assert subprocess.run(words, capture_output=True, env=environment, check=True).stdout.strip()
    assert sampled(server) == before
