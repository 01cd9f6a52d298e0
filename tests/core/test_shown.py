"""How results show themselves: escaped, on their own lines, and without commands for a console."""

from __future__ import annotations

from io import StringIO

from outthink.core.budget import Usage
from outthink.core.selection import Offer, Result, Selection, Stop
from outthink.core.shown import Shown

EVIL = "[red]<b>4</b> :smile:\x1b[31m\u202e"


def result() -> Result:
    selection = Selection(EVIL, "4", 0.75, votes={EVIL: 3.0, "5": 1.0})
    return Result("p", "majority", EVIL, selection, Stop.FINISHED, offers=(Offer(selection, Usage(2, 2, 30, 0, 7)),))


def test_a_result_in_a_notebook_is_escaped() -> None:
    text = result()._repr_html_()
    assert "&lt;b&gt;4&lt;/b&gt;" in text
    assert "<b>4" not in text
    assert not set(text) & set("\x1b\u202e")
    assert text.count("<tr>") == 3


def test_a_rich_console_prints_it_as_it_is() -> None:
    from rich.console import Console

    out = StringIO()
    Console(file=out, width=100).print(result())
    assert "[red]<b>4</b> :smile:" in out.getvalue()
    assert "5" in out.getvalue().splitlines()[-1]
    assert not set(out.getvalue()) & set("\x1b\u202e")


def test_the_curve_of_a_result_is_rows() -> None:
    (row,) = result().curve
    assert (row["answer"], row["samples"], row["tokens"]) == (EVIL, 2, 37)


def test_a_sentence_needs_no_table() -> None:
    assert Shown("a is better").html() == "<div><b>a is better</b></div>"
    assert Shown("a", ("x",), [["y" * 1000]], "z").text().splitlines()[0] == "a"
    assert len(Shown("a", ("x",), [["y" * 1000]]).text()) < 1000
