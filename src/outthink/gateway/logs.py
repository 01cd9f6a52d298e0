"""Structured logs: one JSON object a line on stderr, a line for each request. Never texts, bodies or keys.

What is logged goes through a bounded queue to a thread of its own: a blocked pipe loses lines (and counts them), and never
holds back a request.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import Any, TextIO

from outthink.gateway.config import Logs as Settings
from outthink.gateway.guesses import TOO_MANY
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Asked, Ended
from outthink.runtime.listening import Listener

LOGGER = logging.getLogger("outthink.gateway")
WAITING = 10_000
LONGEST = 2000
"""Characters of one text in a line: what upstreams say in errors ends up here."""


def event(name: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log something that happened, as plain JSON values."""
    LOGGER.log(level, name, extra={"fields": fields})


class JsonLines(logging.Formatter):
    """A record as one line of JSON, without secrets."""

    def __init__(self, hide: Callable[[str], str]) -> None:
        super().__init__()
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        """One line; whatever the message holds, it stays one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage()[:LONGEST],
        }
        if record.name != LOGGER.name:
            line["logger"] = record.name
        fields = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            line |= {name: _short(value) for name, value in fields.items() if value not in (None, "", {}, [])}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)[-4 * LONGEST :]
        return self._hide(json.dumps(line, ensure_ascii=False, default=str))


class _Enqueue(QueueHandler):
    """Puts records into the queue, and counts those that find no room."""

    def __init__(self, room: queue.Queue[Any]) -> None:
        super().__init__(room)
        self.lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # formatted by the thread; what we log isn't changed afterwards

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.lost += 1


class _Writer(QueueListener):
    """Writes what is in the queue, to the end."""

    def enqueue_sentinel(self) -> None:
        """The end finds room also where the queue is full."""
        self.queue.put(self._sentinel)  # type: ignore[attr-defined]  # the class says how to mark the end


class Logs:
    """The log of a gateway, and the observer that writes a line for each request."""

    def __init__(self, settings: Settings, hide: Callable[[str], str], stream: TextIO | None = None) -> None:
        self._settings = settings
        self._queue: queue.Queue[Any] = queue.Queue(WAITING)
        self._handler = _Enqueue(self._queue)
        out = logging.StreamHandler(stream or sys.stderr)
        out.setFormatter(JsonLines(hide))
        self._listener = _Writer(self._queue, out)
        self._before: tuple[int, list[logging.Handler]] | None = None
        self._waits: dict[str, float] = {}

    @property
    def lost(self) -> int:
        """Lines that found no room."""
        return self._handler.lost

    def open(self) -> None:
        """Take over the process's logging: every library's records become lines of ours."""
        root = logging.getLogger()
        self._before = (root.level, root.handlers[:])
        root.handlers = [self._handler]
        self._listener.start()
        self.adopt(self._settings)

    def adopt(self, settings: Settings) -> None:
        """Go on under other settings."""
        self._settings = settings
        logging.getLogger().setLevel(logging.WARNING if settings.level == "info" else settings.level.upper())
        LOGGER.setLevel(settings.level.upper())

    def close(self) -> None:
        """Write what waits, and give the process's logging back."""
        if self._before is not None:
            self._listener.stop()
            root = logging.getLogger()
            root.level, root.handlers = self._before
            self._before = None

    # As an observer

    def began(self, asked: Asked) -> Listener | None:
        """Nothing to hear."""
        return None

    def waited(self, asked: Asked, seconds: float) -> None:
        """How long it was in the queue; said in its line."""
        if self._settings.requests and seconds > 0.0005:
            self._waits[asked.id] = seconds

    def ended(self, asked: Asked, ended: Ended) -> None:
        """The line of a request."""
        waited = self._waits.pop(asked.id, None)
        if self._settings.requests:
            event("request", logging.INFO if ended.status < 500 else logging.ERROR, **line_of(asked, ended, waited))

    def refused(self, path: str, refusal: Refusal, request_id: str) -> None:
        """The line of one that wasn't understood; not of a guesser's, who could fill a disk with them."""
        if self._settings.requests and refusal.code != TOO_MANY:
            what = {"request": request_id, "path": path, "status": refusal.status, "code": refusal.code}
            event("refused", logging.WARNING, **what, message=str(refusal))


def line_of(asked: Asked, ended: Ended, waited: float | None) -> dict[str, Any]:
    """What is said of a request: who, what, how it went and what it cost; no texts."""
    result, refusal = ended.result, ended.refusal
    usage = None if result is None else result.usage
    return {
        "request": asked.id,
        "key": asked.caller.name,
        "protocol": asked.protocol,
        "model": asked.model.name,
        "strategy": asked.strategy.name,
        "budget": str(asked.budget),
        "stream": asked.stream,
        "status": ended.status,
        "left": ended.left or None,
        "seconds": round(ended.seconds, 4),
        "first_seconds": None if ended.first_seconds is None else round(ended.first_seconds, 4),
        "queue_seconds": None if waited is None else round(waited, 4),
        "stop": None if result is None else str(result.stop),
        "code": None if refusal is None else refusal.code,
        "message": None if refusal is None else str(refusal),
        "usage": None if usage is None else {name: value for name, value in usage.fields().items() if value},
    }


def _short(value: Any) -> Any:
    return value[: LONGEST - 3] + "..." if isinstance(value, str) and len(value) > LONGEST else value
