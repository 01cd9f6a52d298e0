"""What reaches the user's terminal: cleaned text, one JSON document, and progress on stderr. No command's logic lives here."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import unicodedata
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

PATIENCE = 2.0
"""Seconds of silence before progress is shown."""

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reverse the direction of what follows."""


def printable(text: str) -> str:
    """The text without anything that commands a terminal: such characters are written as escapes, like \\x1b."""
    return "".join(character if _harmless(character) else ascii(character)[1:-1] for character in text)


def _harmless(character: str) -> bool:
    if character in "\n\t":
        return True
    return unicodedata.category(character) not in ("Cc", "Cs") and character not in _TURNING


@dataclass
class Output:
    """Where a command's result goes: text for a human, or (`--json`) exactly one JSON document.

    resume: the command that goes on with what is recorded; "" where nothing is
    """

    as_json: bool = False
    resume: str = ""

    def show(self, document: Any, text: str) -> None:
        """Print the result. JSON is pure ASCII, so that no text of a model reaches a terminal raw."""
        if self.as_json:
            click.echo(json.dumps(document, indent=2 if sys.stdout.isatty() else None, allow_nan=False))
        elif text:
            click.echo(printable(text))

    def fail(self, message: str, code: int) -> None:
        """Print why there is no result: one line on stderr, and with `--json` a document that says the same."""
        note(f"outthink: {message}")
        if self.resume:
            note(f"what was paid for is recorded; go on with the same settings by:\n  {self.resume}")
        if self.as_json:
            self.show({"error": message, "exit_code": code, "resume": self.resume or None}, "")


def note(text: str) -> None:
    """A remark for the human, on stderr. One that can't be written costs no run."""
    with contextlib.suppress(OSError):
        click.echo(printable(text), err=True)


class Progress:
    """A progress bar on stderr that appears after `PATIENCE` seconds, and never where nobody looks (a pipe, a file)."""

    def __init__(self, title: str, *, total: int | None = None, unit: str = "samples") -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = 0
        self._remark = ""
        self._bar: RichProgress | None = None
        self._timer = threading.Timer(PATIENCE, self._show) if sys.stderr.isatty() else None
        self._lock = threading.Lock()
        self._closed = False

    def update(self, done: int, total: int | None = None, remark: str = "", title: str = "") -> None:
        """Say how far it is; `total` and `title` may change. `remark` stands at the end of the line."""
        with self._lock:
            begun = bool(title) and title != self._title
            self._title, self._done, self._remark = title or self._title, done, printable(remark)
            self._total = self._total if total is None else total
            if self._bar is not None:
                (task,) = self._bar.task_ids
                if begun:
                    self._bar.reset(task)
                self._bar.update(
                    task, description=self._title, completed=done, total=self._total, remark=self._remark, refresh=begun
                )

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(self._unit, markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[remark]}", markup=False),
        )
        with self._lock:
            if self._closed:
                return
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task(self._title, completed=self._done, total=self._total, remark=self._remark)
            self._bar.start()

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take the bar away, so that what comes next is not written into it. Twice is once."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            if self._bar is not None:
                self._bar.stop()
