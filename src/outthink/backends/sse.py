"""Server-sent events: bytes in, events out.

Sans-IO and independent of what the events mean; HTTP, JSON and OpenAI's `[DONE]` must not live here. Follows the WHATWG
event stream rules (https://html.spec.whatwg.org/multipage/server-sent-events.html), with three differences: payloads
stay bytes, so that the reader decides how to treat bad UTF-8; an event still open at the end of the stream is delivered
by `close` instead of dropped (some servers forget the last blank line, and a payload cut short is not valid JSON
anyway); and a line of the field `error` counts as an event of that name, which is how older llama.cpp reports failures.
"""

from typing import NamedTuple

__all__ = ["Event", "EventParser", "OversizedEvent"]

_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its `name` (`b"message"` unless the server said otherwise) and its data lines joined by newlines."""

    name: bytes
    data: bytes


class OversizedEvent(ValueError):
    """The server sent more than `limit` bytes without ending the event."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"one streamed event is larger than {limit} bytes")
        self.limit = limit


class EventParser:
    """Incremental parser of one stream. Holds at most `limit` bytes of an unfinished event.

    `feed` and `close` return the events that became complete; both raise `OversizedEvent`, after which the parser must
    not be used. The events do not depend on how the stream was cut into pieces.
    """

    __slots__ = ("_after_cr", "_data", "_data_size", "_first", "_limit", "_name", "_parts", "_parts_size")

    def __init__(self, limit: int = 4 << 20) -> None:
        self._limit = limit
        self._parts: list[bytes] = []  # pieces of the unfinished line, joined once: a long line stays linear
        self._parts_size = 0
        self._data: list[bytes] = []  # data lines of the unfinished event
        self._data_size = 0
        self._name = b"message"
        self._after_cr = False
        self._first = True

    def feed(self, piece: bytes) -> list[Event]:
        if self._after_cr and piece:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")  # the second half of a CRLF cut in two
        if b"\r" in piece:
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = piece.split(b"\n")
        tail = lines.pop()
        events: list[Event] = []
        if lines and self._parts:
            lines[0] = b"".join([*self._parts, lines[0]])
            self._parts.clear()
            self._parts_size = 0
        for line in lines:
            self._line(line, events)
        if tail:
            self._parts.append(tail)
            self._parts_size += len(tail)
            self._check()
        return events

    def close(self) -> list[Event]:
        """End of the stream: the event left open, if it has data."""
        return self.feed(b"\n\n")

    def _line(self, line: bytes, events: list[Event]) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                data = self._data
                events.append(Event(self._name, data[0] if len(data) == 1 else b"\n".join(data)))
                self._data = []
                self._data_size = 0
            self._name = b"message"
            return
        field, _, value = line.partition(b":")
        if field == b"event":
            self._name = value.removeprefix(b" ") or b"message"
            return
        if field == b"error":
            self._name = b"error"
        elif field != b"data":
            return  # comments, ids, retry hints and unknown fields
        self._data.append(value.removeprefix(b" "))
        self._data_size += len(value) + 1
        self._check()

    def _check(self) -> None:
        if self._data_size + self._parts_size > self._limit:
            raise OversizedEvent(self._limit)
