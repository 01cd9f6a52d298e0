"""HTTP/1.1 as far as a fake server needs it: requests in, bytes out, one exchange at a time on each connection. It parses
by itself because it must be cheap and able to break the protocol on purpose; never use it as a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

JSON = b"application/json"
_BIGGEST = 64 * 2**20  # bytes of a request body


class Exchange(Protocol):
    """An exchange under way; told when its client leaves."""

    def left(self) -> None: ...


Handler = Callable[["Connection", bytes, bytes, dict[bytes, bytes], bytes], Exchange | None]


def head(status: int, kind: bytes = JSON, length: int | None = None, *more: bytes) -> bytes:
    """Status line and headers; without a length the body comes in chunks. `more` are whole header lines."""
    size = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()), b"Content-Type: " + kind, size, *more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


class Connection(asyncio.Protocol):
    """One connection. `handler` gets (connection, method, path, headers with lower-case names, body) and later calls
    `finish`; it returns the exchange if that goes on after the call."""

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        self._handler, self._connections = handler, connections
        self._buffer = b""
        self._busy = False
        self._exchange: Exchange | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        self._writable.set()
        if self._exchange is not None:
            self._exchange.left()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drained(self) -> None:
        """Wait until the client has read enough."""
        await self._writable.wait()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy:
            self._next()

    def _next(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        line, *rows = self._buffer[:end].split(b"\r\n")
        headers = {}
        for row in rows:
            name, _, value = row.partition(b":")
            headers[name.lower()] = value.strip()
        size = headers.get(b"content-length", b"0")
        parts = line.split(b" ")
        if b"transfer-encoding" in headers or not size.isdigit() or int(size) > _BIGGEST or len(parts) != 3:
            self.transport.write(head(411, JSON, 0, b"Connection: close"))
            self.transport.close()
            return
        stop = end + 4 + int(size)
        if len(self._buffer) < stop:
            if headers.get(b"expect") == b"100-continue" and len(self._buffer) == end + 4:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body = self._buffer[end + 4 : stop]
        self._buffer = self._buffer[stop:]
        self._busy = True
        exchange = self._handler(self, parts[0], parts[1], headers, body)
        if self._busy:
            self._exchange = exchange

    def finish(self, data: bytes = b"", *, close: bool = False) -> None:
        """Write the last bytes of an exchange; then the next request may come, or the connection ends."""
        if data:
            self.transport.write(data)
        self._busy, self._exchange = False, None
        if close:
            self.transport.close()
        elif self._buffer:
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if not self._busy and not self.transport.is_closing():
            self._next()
