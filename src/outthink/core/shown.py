"""How results show themselves in notebooks and rich terminals: one small table each, foreign text escaped.

What stands in it is the result's own; whole evaluations, with their pictures, are `outthink.report`'s.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

MOST_TEXT = 400
"""Characters of one cell that are shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A table: a title, its head, its rows, and a remark below it. Without rows it is a sentence."""

    title: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    remark: str = ""

    def html(self) -> str:
        """As HTML that needs nothing else and runs nothing."""
        head = "".join(f'<th style="text-align:left">{_safe(each)}</th>' for each in self.head)
        body = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{_safe(each)}</td>' for each in row) + "</tr>" for row in self.rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""
        remark = f"<p>{_safe(self.remark)}</p>" if self.remark else ""
        return f"<div><b>{_safe(self.title)}</b>{table}{remark}</div>"

    def text(self) -> str:
        """As lines of text."""
        rows = [[_clean(each) for each in row] for row in [self.head, *self.rows] if row]
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
        return "\n".join(filter(None, [_clean(self.title), *lines, _clean(self.remark)]))


class Shows(ABC):
    """What a notebook and a rich console ask a result for."""

    __slots__ = ()

    @abstractmethod
    def shown(self) -> Shown:
        """Itself as a small table."""

    def _repr_html_(self) -> str:
        return self.shown().html()

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        yield console.render_str(self.shown().text(), markup=False, emoji=False)


def _clean(text: str) -> str:
    """On one line, without anything that commands a terminal or turns the direction of what follows."""
    cut = text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + "…"
    return "".join(character if character.isprintable() else " " if character.isspace() else "\ufffd" for character in cut)


def _safe(text: str) -> str:
    return escape(_clean(text))
