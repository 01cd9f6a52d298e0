"""Connections that must not be held open for nothing: a bound on how long and how large a request's head may be.

The server below bounds neither; bodies are `body`'s. Imported only where the server's package is installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_SECONDS = 20.0
HEAD_BYTES = 65536
Send = Callable[[Any], Coroutine[Any, Any, None]]
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(HttpToolsProtocol):
    """One client's connection. A client that closes its sending half has left: it can't be told from one that went away."""

    head_seconds = HEAD_SECONDS
    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the server has it
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more is waited for."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, unless they are too many for a head."""
        if self._in_head:
            if self._head + min(len(data), HEAD_BYTES) > HEAD_BYTES and b"\r\n\r\n" not in data[:HEAD_BYTES]:
                self._end(_TOO_LARGE)
                return
            self._head += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """The next head begins."""
        if not self._in_head:
            self._wait_for_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._head_came()
        super().on_headers_complete()
        if self.scope["http_version"] == "1.0":
            self.cycle.send = _without_chunks(self.cycle)  # type: ignore[assignment,method-assign]  # before its task begins

    def on_message_complete(self) -> None:
        """What comes next is another head, whenever it comes: the server's own rule of idle connections holds until then."""
        super().on_message_complete()
        self._in_head, self._head = True, 0

    def _wait_for_head(self) -> None:
        self._in_head, self._head = True, 0
        self._timer = self.loop.call_later(self.head_seconds, self._end, _TOO_SLOW)

    def _head_came(self) -> None:
        self._in_head = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, reply: bytes) -> None:
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(reply)
            self.transport.close()


def _without_chunks(cycle: RequestResponseCycle) -> Send:
    """How a cycle sends to a client of HTTP/1.0, which knows no chunks: a stream lasts until the connection is closed."""
    send = cycle.send

    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            if not any(name.lower() == b"content-length" for name, _ in message.get("headers", ())):
                cycle.chunked_encoding, cycle.keep_alive = False, False
        elif cycle.chunked_encoding is False and not cycle.keep_alive:
            cycle.expected_content_length = len(message.get("body", b""))  # of this piece, whatever comes after it
        await send(message)

    return sent
