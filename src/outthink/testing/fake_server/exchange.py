"""One request that generates, from its slot to its last byte: latency, streaming, cancelling, and the faults of the wire."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from outthink.testing.fake_server.faults import spoiled
from outthink.testing.fake_server.replies import events, whole
from outthink.testing.fake_server.sampling import Generated, Order
from outthink.testing.fake_server.settings import WIRE_FAULTS
from outthink.testing.fake_server.wire import JSON, Connection, chunk, head

if TYPE_CHECKING:
    from outthink.testing.fake_server.accounts import Entry
    from outthink.testing.fake_server.server import FakeServer

_PADDING = b" " * 2**18
_HALVING = ("half_stream", "truncated_json")


class Generation:
    """Created for each admitted request; `start` is called when a slot is free, `left` when the client leaves."""

    __slots__ = ("_began", "_choices", "_gone", "_loop", "_task", "_timer", "connection", "entry", "order", "server", "wire")

    def __init__(self, server: FakeServer, connection: Connection, order: Order, entry: Entry) -> None:
        self.server, self.connection, self.order, self.entry = server, connection, order, entry
        self.wire = next((name for name in entry.faults if name in WIRE_FAULTS), "")
        self._loop = asyncio.get_running_loop()
        self._choices: list[Generated] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._gone = False
        self._began = -1.0

    def start(self) -> None:
        """Generate: a slot is free."""
        settings, entry = self.server.settings, self.entry
        self._began = self._loop.time()
        self._choices = self.server.sampler.generate(self.order, entry.faults)
        self.server.accounts.started(entry)
        if self.wire == "hang":
            return
        if self.order.stream or self.wire in ("slow_drip", "huge_body"):
            self._task = self._loop.create_task(self._stream() if self.order.stream else self._slowly())
            self.server.tasks.add(self._task)
            self._task.add_done_callback(self.server.tasks.discard)
            return
        seconds = settings.latency + settings.per_token * max(choice.count for choice in self._choices)
        if seconds > 0:
            self._timer = self._loop.call_later(seconds, self._reply)
        else:
            self._reply()

    def left(self) -> None:
        """The client closed the connection before the end."""
        if self._gone:
            return
        self._gone = True
        if self._began >= 0 and "keeps_generating" in self.entry.faults:
            if self._task is not None:  # a stream goes on for nobody; a timer goes on by itself
                self._task.cancel()
                self._task = None
                longest = max(choice.count for choice in self._choices)
                left = self._began + self.server.settings.latency + self.server.settings.per_token * longest - self._loop.time()
                self._timer = self._loop.call_later(max(0.0, left), self._reply)
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self.entry.generated = max(self.entry.generated, self._decoded())
        self._end("cancelled")

    def _decoded(self) -> int:
        """Tokens decoded so far by the clock."""
        settings = self.server.settings
        elapsed = self._loop.time() - self._began - settings.latency
        if self._began < 0 or elapsed < 0 or self.wire == "hang":
            return 0
        most = elapsed / settings.per_token if settings.per_token else math.inf
        return sum(int(min(choice.count, most)) for choice in self._choices)

    def _end(self, outcome: str, data: bytes = b"", *, close: bool = False) -> None:
        self.server.accounts.closed(self.entry, outcome)
        if not self._gone:
            self.connection.finish(data, close=close)
        if self._began >= 0:
            self.server.freed()
        else:
            self.server.waiting.remove(self)

    def _body(self) -> bytes:
        """The whole body, spoiled as the fault wants; the entry counts it as delivered."""
        entry = self.entry
        entry.generated = sum(choice.count for choice in self._choices)
        body = whole(self.order, self._choices, entry, entry.faults, self.server.settings)
        entry.status = 200
        entry.delivered = entry.generated // 2 if self.wire in _HALVING else entry.generated
        return spoiled(self.wire, body)

    def _reply(self) -> None:
        """Answer at once, for requests that are not streamed."""
        if self._gone:
            self.entry.generated = sum(choice.count for choice in self._choices)
            self._end("cancelled")
            return
        body = self._body()
        match self.wire:
            case "disconnect":
                self.entry.status = self.entry.delivered = 0
                self.entry.reported = None
                self._end("broken", close=True)
            case "half_stream":
                self._end("broken", head(200, JSON, len(body)) + body[: len(body) // 2], close=True)
            case "wrong_length":
                self._end("broken", head(200, JSON, len(body) + 100) + body, close=True)
            case "truncated_json" | "malformed_json" | "bad_utf8":
                self._end("broken", head(200, JSON, len(body)) + body)
            case _:
                self._end("done", head(200, JSON, len(body)) + body)

    async def _slowly(self) -> None:
        """Answer in drips, or after a mass of white space."""
        settings, write = self.server.settings, self.connection.transport.write
        await asyncio.sleep(settings.latency + settings.per_token * max(choice.count for choice in self._choices))
        self.entry.generated = sum(choice.count for choice in self._choices)
        body = whole(self.order, self._choices, self.entry, self.entry.faults, settings)
        self.entry.status = 200
        if self.wire == "huge_body":
            write(head(200, JSON, len(body) + settings.huge))
            await self._pad(settings.huge)
            write(body)
        else:
            write(head(200, JSON, len(body)))
            size = -(-len(body) // 16)
            for at in range(0, len(body), size):
                await asyncio.sleep(settings.drip)
                write(body[at : at + size])
        self.entry.delivered = self.entry.generated
        self._end("done")

    async def _pad(self, size: int, *, chunked: bool = False) -> None:
        for at in range(0, size, len(_PADDING)):
            piece = _PADDING[: size - at]
            self.connection.transport.write(chunk(piece) if chunked else piece)
            await self.connection.drained()
            await asyncio.sleep(0)

    async def _stream(self) -> None:
        """Answer by server-sent events."""
        settings, write = self.server.settings, self.connection.transport.write
        await asyncio.sleep(settings.latency)
        if self.wire == "disconnect":
            self._end("broken", close=True)
            return
        self.entry.status = 200
        counted = self.wire == "wrong_length"
        write(head(200, b"text/event-stream", 10**6 if counted else None))
        if self.wire == "huge_body":
            await self._pad(settings.huge, chunked=True)
        due, longest = self._loop.time(), sum(choice.count for choice in self._choices)
        pieces: list[bytes] = []
        for data, tokens in events(self.order, self._choices, self.entry, self.entry.faults, settings):
            self.entry.generated += tokens
            if self.wire == "half_stream" and self.entry.generated > longest // 2:
                self._end("broken", b"".join(pieces), close=True)
                return
            if tokens and self.entry.generated == longest // 2 + 1:
                data = spoiled(self.wire, data)
            if data:
                pieces.append(data if counted else chunk(data))
            self.entry.delivered += tokens
            wait = settings.drip if self.wire == "slow_drip" else settings.per_token / len(self._choices)
            if (tokens and wait) or len(pieces) >= 64:
                write(b"".join(pieces))
                pieces.clear()
                due += wait if tokens else 0
                await self.connection.drained()
                if wait:
                    await asyncio.sleep(max(0.0, due - self._loop.time()))
        self.entry.generated = longest  # what no event told was decoded all the same
        broken = counted or self.wire in ("truncated_json", "malformed_json", "bad_utf8")
        self._end("broken" if broken else "done", b"".join(pieces) + (b"" if counted else b"0\r\n\r\n"), close=counted)
