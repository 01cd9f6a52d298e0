"""What a model writes never commands the terminal that shows it."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.cli.terminal import print_json, printable

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
        print_json({"answer": text})
    assert written[0].isascii()
    assert json.loads(written[0]) == {"answer": text}
