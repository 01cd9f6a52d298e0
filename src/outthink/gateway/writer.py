"""Who writes the records of a folder: a file that a gateway keeps locked as long as it lives, so that nobody goes on with a
request that is still under way. kill -9 frees the lock. What records hold must not live here.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_PATTERN = ".writer-*.lock"


class Writer:
    """A living gateway's mark in a folder of records. Files of gateways that were killed are removed on the way.

    Raises OSError where the folder can't be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, f".writer-{secrets.token_hex(6)}.lock"
        for left in folder.glob(_PATTERN):
            _remove_if_free(left)
        self._lock = FileLock(folder / self.name, timeout=0)
        self._lock.acquire()

    def close(self) -> None:
        """It writes no more."""
        self._lock.release()
        _remove_if_free(self.folder / self.name)


def alive(folder: Path, name: str) -> bool:
    """Whether the gateway of that mark still runs."""
    path = folder / name
    if not path.is_file():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _remove_if_free(path: Path) -> None:
    with suppress(Timeout, OSError), FileLock(path, timeout=0):
        path.unlink(missing_ok=True)
