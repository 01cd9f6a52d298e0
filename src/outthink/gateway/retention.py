"""Deletes records that are too old, or the oldest where all of them take too much. Only files that records are made of."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from outthink.gateway.config import Records

_ENDS = (".db", ".new", ".db.lock", ".db-wal", ".db-shm")
"""A record, one half written, and what going on with one leaves beside it."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def sweep(settings: Records, *, now: Callable[[], float] = time.time) -> int:
    """Delete what need not be kept any more; returns how many records went. Blocks: not for the event loop's thread."""
    if settings.folder is None:
        return 0
    found = sorted(_records(settings.folder))
    oldest = now() - settings.days * 86_400
    left, most = sum(size for _, size, _ in found), settings.megabytes * 1e6
    gone = 0
    for changed, size, path in found:
        if changed >= oldest and left <= most:
            break
        with suppress(OSError):
            path.unlink()
            left, gone = left - size, gone + (path.suffix == ".db")
    for day in settings.folder.iterdir():
        if _DAY.fullmatch(day.name):
            with suppress(OSError):  # not empty
                day.rmdir()
    return gone


def _records(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Age, bytes and path of each record, and of what was left beside one."""
    for day in folder.iterdir():
        if not _DAY.fullmatch(day.name) or day.is_symlink() or not day.is_dir():
            continue
        for path in day.iterdir():
            if path.name.endswith(_ENDS) and not path.is_symlink():
                with suppress(OSError):
                    state = path.stat()
                    yield state.st_mtime, state.st_size, path
