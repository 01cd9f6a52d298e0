"""Every error becomes one message and its documented exit code."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from outthink.cli.app import app
from outthink.cli.failures import EXIT_CODES, Exit, guarded
from outthink.cli.terminal import Output
from outthink.core import errors


def raising(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.fixture(autouse=True)
def _no_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["outthink"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.BadInput("x is odd", where="--budget"), Exit.USAGE),
        (errors.UnknownName("strategy", "majorty", ["majority"]), Exit.USAGE),
        (errors.JournalLocked("locked"), Exit.USAGE),
        (errors.Permanent("no such model"), Exit.BACKEND),
        (errors.Refused("no connection"), Exit.BACKEND),
        (errors.NoAnswer("nothing valid"), Exit.UNANSWERED),
        (click.UsageError("no such option"), Exit.USAGE),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (ZeroDivisionError("oh"), Exit.BUG),
        (errors.InternalError("oh"), Exit.BUG),
    ],
)
def test_an_error_is_one_message_and_a_code(error: BaseException, code: Exit, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(error)) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    assert str(error) in shown.err


def test_the_traceback_is_there_for_who_asks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OUTTHINK_DEBUG", "1")
    guarded(raising(errors.BadInput("x is odd")))
    assert "Traceback" in capsys.readouterr().err


def test_a_message_never_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    guarded(raising(errors.Permanent("the server says \x1b]0;owned\x07")))
    assert "\x1b" not in capsys.readouterr().err


def test_help_documents_every_exit_code() -> None:
    text = app.get_help(click.Context(app))
    assert {int(code) for code in re.findall(r"^ +(\d+)  ", text, re.MULTILINE)} == set(EXIT_CODES) == set(Exit)


def test_what_an_old_encoding_lacks_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))

    @click.command()
    def told() -> None:
        print("0–16%")

    monkeypatch.setattr("sys.argv", ["outthink"])
    assert guarded(told) == 0
    assert raw.getvalue() == b"0?16%\n"


def test_with_json_a_failure_is_a_document_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @click.pass_obj
    def command(output: Output) -> None:
        output.as_json = True
        raise errors.BadInput("x is odd")

    assert guarded(command) == Exit.USAGE
    assert json.loads(capsys.readouterr().out) == {"error": "x is odd", "exit_code": 2, "resume": None}


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [["strategies"], ["--help"], ["--version"], ["strategies", "--json"]])
def test_a_full_disk_is_told_and_no_bug(words: list[str]) -> None:
    with FULL.open("w") as full:
        command = [sys.executable, "-m", "outthink", *words]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == Exit.OUTPUT
    assert ended.stderr == "outthink: standard output can't be written: No space left on device\n"


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_what_cannot_be_said_twice_keeps_its_own_code(tmp_path: Path) -> None:
    with FULL.open("w") as full:
        command = [sys.executable, "-m", "outthink", "eval", "absent.jsonl", "--json"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert ended.returncode == Exit.USAGE
    assert "absent.jsonl" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_of_ours_that_is_full_is_not_taken_for_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(OSError(28, "No space left on device", "pool.parquet"))) == Exit.BUG
    assert "pool.parquet" in capsys.readouterr().err
