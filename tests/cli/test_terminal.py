"""What a model writes never commands the terminal that shows it."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.cli.terminal import Output, Progress, printable

ANYTHING = st.text(st.characters(codec=None, categories=None))


@given(ANYTHING)
def test_printable_text_holds_no_command_and_can_be_encoded(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert not [c for c in shown if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cs")]
    if all(c.isprintable() for c in text):
        assert shown == text


def test_escapes_are_readable() -> None:
    assert printable("a\x1b[2Jb\x9b0m\u202eevil\ud800 日本") == "a\\x1b[2Jb\\x9b0m\\u202eevil\\ud800 日本"


@given(text=ANYTHING)
def test_json_is_one_document_that_gives_the_text_back(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        written: list[str] = []
        patch.setattr("click.echo", lambda message: written.append(message))
        Output(as_json=True).show({"answer": text}, text)
    assert written[0].isascii()
    assert json.loads(written[0]) == {"answer": text}


def test_progress_is_silent_where_nobody_looks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("outthink.cli.terminal.PATIENCE", 0.0)
    with Progress("recording", total=2) as progress:
        progress.update(1)
    assert capsys.readouterr() == ("", "")


def test_progress_shows_how_far_it_is_and_cleans_the_remark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with Progress("recording", total=2) as progress:
        progress.update(1, remark="a\x1b[2J")
        progress._show()  # what the timer does after two seconds
        progress.update(2, remark="b\x9b")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "recording" in shown.err
    assert "2/2 samples" in shown.err
    assert "b\\x9b" in shown.err
    assert "\x1b[2J" not in shown.err
