"""Where a command's journal lies and what it must hold to be resumed by `outthink resume`.

Without --journal a command records in the user's state folder; such a journal is deleted when nothing in it is worth keeping.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outthink.cli.terminal import Output
from outthink.core.errors import BadInput


@dataclass(slots=True)
class Recording:
    """A command's journal, and the notes by which it can be resumed. `keep` it even though the command ended."""

    path: Path
    notes: Mapping[str, Any]
    keep: bool = False


@contextmanager
def recording(command: str, given: Mapping[str, Any], output: Output) -> Iterator[Recording]:
    """The journal of a command. Leaving by an error keeps it if it holds anything, and `output` then tells how to resume."""
    named = given.get("journal")
    own = state_folder()
    path = Path(named).expanduser().absolute() if named else own / f"{command}-{time.time_ns()}.db"
    if not named:
        _make(own)
    temporary = path.parent == own
    arguments = {name: value for name, value in given.items() if name != "journal"}
    record = Recording(path, {"command": command, "arguments": arguments, "folder": os.getcwd()})
    try:
        yield record
    except BaseException:
        from outthink.runtime.recorded import holds_samples

        if holds_samples(path):
            output.resume = f"outthink resume {shlex.quote(str(path))}"
        elif temporary:
            _remove(path)
        raise
    if temporary and not record.keep:
        _remove(path)


def state_folder() -> Path:
    """The user's folder for what is neither settings nor cache."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser().absolute() / "outthink"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"can't be made ({error.strerror}); name a file by --journal", where=str(folder)) from None


def _remove(path: Path) -> None:
    for file in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", ".lock"))):
        file.unlink(missing_ok=True)
