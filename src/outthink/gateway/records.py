"""The journal of each request: written beside its run, kept as one file, so that any answer can be explained and replayed.

While a run goes on its journal is an SQLite database in memory: nothing it writes can hold back an answer. When the request
ends, and every `SAVE_SECONDS` before, a thread of its own writes the image to a file, whole (a new file takes the place of the
old one), with texts redacted as configured. kill -9 loses at most those seconds of a record; what keys spent is kept apart
from it and isn't lost (`spending`).

Files are FOLDER/YYYY-MM-DD/ID.db. How long they are kept is `retention`'s.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outthink.core.errors import BadInput, JournalDamaged, OutthinkError
from outthink.core.selection import Stop
from outthink.gateway.config import Records as Settings
from outthink.gateway.recall import header_of, notes_of
from outthink.gateway.redaction import Redaction
from outthink.gateway.seams import Asked
from outthink.gateway.writer import Writer
from outthink.runtime.journal import Journal
from outthink.runtime.recorded import NOTES

SAVE_SECONDS = 2.0
MOST_WAITING = 256 << 20
"""Bytes of images that wait for a slow disk; beyond them records are dropped, and counted."""


class RequestJournal(Journal):
    """A journal in memory. `image` is what a file of it would hold."""

    def __init__(self) -> None:
        super().__init__(Path(":memory:"))
        self.changed = False

    def open(self, header: Mapping[str, Any], notes: Mapping[str, Any] | None = None) -> bool:
        """Make it; it never held runs before."""
        return self._connect(header, notes or {})

    def flush(self) -> None:
        """Commit what was added."""
        super().flush()
        self.changed = True

    def fail(self, run: str, error: OutthinkError) -> None:
        """Note why the run ended without a result, though what it holds can be gone on with."""
        if run in self._clocks:
            self.end(run, Stop.FAILED, None)
        self.flush()
        assert self._db is not None
        self._db.execute("UPDATE header SET value = json_set(value, '$.error', ?) WHERE name = ?", (str(error), NOTES))

    def image(self) -> bytes:
        """The database as the bytes of a file."""
        assert self._db is not None
        self.changed = False
        return self._db.serialize()


class Recorder:
    """Keeps a journal of each request that may be recorded; a form of `seams.Records`.

    settings:  may be replaced at any time (a reload)
    seconds:   between two images of a run that goes on
    dropped:   told why a record couldn't be kept
    about:     what is kept beside each journal of the gateway itself
    """

    def __init__(
        self,
        settings: Settings,
        *,
        seconds: float = SAVE_SECONDS,
        dropped: Callable[[str], None] = lambda reason: None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self._seconds, self._dropped, self._about = seconds, dropped, dict(about or {})
        self._writer: Writer | None = None
        self._thread = ThreadPoolExecutor(1, "outthink-records")
        self._waiting = 0
        self._open: set[tuple[RequestJournal, Path, Redaction]] = set()
        self._taken: set[Path] = set()  # until their last image is written
        self._timer: asyncio.TimerHandle | None = None
        self._left: list[Writer] = []  # of folders that requests under way may still be written to
        self.adopt(settings)

    def adopt(self, settings: Settings) -> None:
        """Go on under other settings; requests under way keep theirs. Raises BadInput where the folder can't be used."""
        if settings.folder is not None:
            try:
                settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise BadInput(f"can't be made: {error.strerror or error}", where=f"records.folder {settings.folder}") from None
            if not os.access(settings.folder, os.W_OK | os.X_OK):
                raise BadInput("can't be written to", where=f"records.folder {settings.folder}")
            if self._writer is None or self._writer.folder != settings.folder:
                self._mark(settings.folder)
        self.settings = settings

    def _mark(self, folder: Path) -> None:
        """Say in a folder that its records are written by somebody who lives; the old one may still get some."""
        try:
            new = Writer(folder)
        except OSError as error:
            raise BadInput(f"no file in it can be locked: {error.strerror or error}", where=f"records.folder {folder}") from None
        if self._writer is not None:
            self._left.append(self._writer)
        self._writer = new

    def wanted(self, asked: Asked) -> bool:
        """Whether a request is recorded: where its key allows it, and the client, or else the default, wants it."""
        wanted = self.settings.default if asked.record is None else asked.record
        return self.settings.folder is not None and asked.caller.record and wanted

    @asynccontextmanager
    async def journal(self, asked: Asked) -> AsyncIterator[Journal]:
        """The open journal that the run is written to; the record is kept however the request ends."""
        if not self.wanted(asked):
            yield Journal(None)
            return
        journal, path, redaction = RequestJournal(), self._free(asked.id), Redaction(self.settings)
        journal.open(header_of(asked), {**notes_of(asked), **self._about, **self._place(path)})
        self._open.add(kept := (journal, path, redaction))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._save_open)
        try:
            yield journal
        except OutthinkError as error:
            with suppress(JournalDamaged):
                journal.fail(asked.name, error)
            raise
        finally:
            self._open.discard(kept)
            with suppress(JournalDamaged):  # a row that SQLite can't hold
                journal.flush()
            self._save(journal.image(), path, redaction, last=True)
            journal.close()

    def _free(self, request: str) -> Path:
        """Where a record goes that begins now. A client may give an id that was given before: nobody's record is replaced."""
        assert self.settings.folder is not None
        day, name = self.settings.folder / datetime.now(UTC).date().isoformat(), safe(request)
        for number in itertools.count(1):
            path = day / (f"{name}.db" if number == 1 else f"{name}~{number}.db")
            if path not in self._taken and not path.exists():
                self._taken.add(path)
                return path
        raise AssertionError("numbers never end")

    def _place(self, path: Path) -> dict[str, str]:
        """Which record it is, since when, and whose."""
        assert self._writer is not None
        name = f"{path.parent.name}/{path.stem}"
        return {"record": name, "at": datetime.now(UTC).isoformat(timespec="seconds"), "writer": self._writer.name}

    def find(self, request: str) -> Path | None:
        """The first record under a request's id, of whatever day."""
        folder = self.settings.folder
        return None if folder is None else next(iter(folder.glob(f"????-??-??/{safe(request)}.db")), None)

    async def close(self) -> None:
        """Write what waits to be written."""
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.to_thread(self._thread.shutdown)
        for writer in (*self._left, *([self._writer] if self._writer is not None else [])):
            writer.close()
        self._left, self._writer = [], None

    def _save_open(self) -> None:
        self._timer = None
        for journal, path, redaction in self._open:
            if journal.changed:
                self._save(journal.image(), path, redaction)
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._save_open)

    def _save(self, image: bytes, path: Path, redaction: Redaction, *, last: bool = False) -> None:
        if self._waiting + len(image) > MOST_WAITING:
            self._dropped("the disk is too slow for what is recorded")
            self._taken -= {path} if last else set()
            return
        self._waiting += len(image)
        loop = asyncio.get_running_loop()

        def written(done: Future[None]) -> None:
            error = done.exception()
            with suppress(RuntimeError):  # the loop is gone, and with it whoever would be told
                loop.call_soon_threadsafe(self._was_written, len(image), path if last else None, error)

        self._thread.submit(_write, image, path, redaction).add_done_callback(written)

    def _was_written(self, size: int, ended: Path | None, error: BaseException | None) -> None:
        self._waiting -= size
        if ended is not None:
            self._taken.discard(ended)
        if error is not None:
            self._dropped(f"a record can't be written: {getattr(error, 'strerror', None) or type(error).__name__}")


def safe(request: str) -> str:
    """A request's id as a file name: it may have come from the client."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_") else "_" for letter in request)
    return plain[:120] or "_"


def _write(image: bytes, path: Path, redaction: Redaction) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(redaction.applied(image))
    os.replace(new, path)
