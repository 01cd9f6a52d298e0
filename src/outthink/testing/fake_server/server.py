"""The fake server in this process: routes, slots, the faults that come before a generation. Streams are in `exchange`."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from typing import Self

from outthink.testing.fake_server.accounts import Accounts, Entry
from outthink.testing.fake_server.exchange import Generation
from outthink.testing.fake_server.faults import FaultDraws
from outthink.testing.fake_server.replies import error_body
from outthink.testing.fake_server.sampling import Order, Rejected, Sampler, prompt_tokens, read_order
from outthink.testing.fake_server.settings import FakeSettings
from outthink.testing.fake_server.wire import JSON, Connection, head
from outthink.testing.fake_server.world import HashWorld, World

_GENERATING = {b"/v1/chat/completions": True, b"/v1/completions": False}
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_OVERLOADED = "The server has too much to do; try again later."


class FakeServer:
    """An OpenAI-compatible server that answers from a world with known success probabilities.

    settings: what it does and how it misbehaves
    world:    what its model knows; HashWorld(settings.world_seed) by default

    An async context manager; `url` (by address) and `url_by_name` (by the host name localhost) end in /v1.
    """

    def __init__(self, settings: FakeSettings | None = None, world: World | None = None) -> None:
        self.settings = settings or FakeSettings()
        self.world = world or HashWorld(self.settings.world_seed)
        self.accounts = Accounts()
        self.sampler = Sampler(self.world, self.settings)
        self.tasks: set[asyncio.Task[None]] = set()
        self.waiting: deque[Generation] = deque()
        self.port = 0
        self._draws = FaultDraws(self.settings)
        self._connections: set[Connection] = set()
        self._listeners: list[asyncio.Server] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def url_by_name(self) -> str:
        return f"http://localhost:{self.port}/v1"

    async def open(self, port: int = 0) -> None:
        """Listen on the loopback addresses; port 0 takes a free one."""
        loop = asyncio.get_running_loop()

        def connection() -> Connection:
            self.accounts.connections += 1
            return Connection(self._handle, self._connections)

        self._listeners.append(await loop.create_server(connection, "127.0.0.1", port, backlog=2048))
        self.port = self._listeners[0].sockets[0].getsockname()[1]
        with contextlib.suppress(OSError):  # a machine without IPv6
            self._listeners.append(await loop.create_server(connection, "::1", self.port, backlog=2048))

    async def close(self) -> None:
        """Drop every connection and stop listening."""
        for listener in self._listeners:
            listener.close()
        for connection in list(self._connections):
            connection.transport.abort()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        while self._connections:  # noqa: ASYNC110  # each one leaves the set by itself, in the next turn of the loop
            await asyncio.sleep(0)
        self._listeners.clear()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def freed(self) -> None:
        """A generation gave its slot back: the oldest waiting one starts."""
        self.accounts.generating -= 1
        if self.waiting:
            asyncio.get_running_loop().call_soon(self._start_next)

    def _start_next(self) -> None:
        if self.waiting and self.accounts.generating < self.settings.slots:
            self.waiting.popleft().start()

    def _handle(
        self, connection: Connection, method: bytes, target: bytes, headers: dict[bytes, bytes], body: bytes
    ) -> Generation | None:
        path = target.partition(b"?")[0]
        chat = _GENERATING.get(path)
        if self.settings.api_key and headers.get(b"authorization") != b"Bearer " + self.settings.api_key.encode():
            _answer(connection, 401, error_body(401, "The API key is missing or wrong."))
        elif chat is not None and method == b"POST":
            return self._admit(connection, path, chat, headers, body)
        elif chat is not None:
            _answer(connection, 405, error_body(405, "Method Not Allowed"))
        else:
            page = self._page(path)
            _answer(connection, 404 if page is None else 200, error_body(404, "Not Found") if page is None else page)
        return None

    def _page(self, path: bytes) -> bytes | None:
        match path:
            case b"/v1/models":
                model = {"id": self.settings.model, "object": "model", "max_model_len": self.settings.context_length}
                return json.dumps({"object": "list", "data": [model]}).encode()
            case b"/health":
                return b"{}"
            case b"/metrics":
                return json.dumps(self.accounts.metrics()).encode()
            case b"/accounts":
                return json.dumps(self.accounts.entries()).encode()
        return None

    def _admit(
        self, connection: Connection, path: bytes, chat: bool, headers: dict[bytes, bytes], body: bytes
    ) -> Generation | None:
        entry = Entry(f"fake-{self.accounts.requests}", path.decode(), self._draws.draw())
        self.accounts.opened(entry, self.settings.ledger)
        try:
            data = json.loads(body)
            self.accounts.bodies.append((entry.path, headers, data))
            order = read_order(data, chat, self.settings)
        except Rejected as refusal:
            self._refuse(connection, entry, refusal.status, str(refusal))
            return None
        except (ValueError, TypeError, AttributeError) as problem:
            self._refuse(connection, entry, 400, f"The body is no request: {problem}")
            return None
        if self._refused_by_fault(connection, entry):
            return None
        self._note(entry, order)
        generation = Generation(self, connection, order, entry)
        if not self.settings.slots or (not self.waiting and self.accounts.generating < self.settings.slots):
            generation.start()
        elif self.settings.overflow == "refuse":
            self._refuse(connection, entry, 429, _OVERLOADED, self._retry_after())
            return None
        else:
            self.waiting.append(generation)
        return generation

    def _note(self, entry: Entry, order: Order) -> None:
        entry.prompt = len(prompt_tokens(order.prompt)) + len(prompt_tokens(order.prefix))
        entry.cached = self.sampler.cached(order)
        entry.asked, entry.n = order.max_tokens, order.n

    def _retry_after(self) -> bytes:
        return b"Retry-After: %g" % self.settings.retry_after

    def _refuse(self, connection: Connection, entry: Entry, status: int, message: str, *more: bytes) -> None:
        self._refuse_with(connection, entry, status, error_body(status, message), JSON, *more)

    def _refuse_with(self, connection: Connection, entry: Entry, status: int, body: bytes, kind: bytes, *more: bytes) -> None:
        entry.status = status
        self.accounts.closed(entry, "refused")
        _answer(connection, status, body, kind, *more)

    def _refused_by_fault(self, connection: Connection, entry: Entry) -> bool:
        faults = entry.faults
        if "rate_limit" in faults:
            self._refuse(connection, entry, 429, _OVERLOADED, self._retry_after())
        elif "rate_limit_bare" in faults:
            self._refuse(connection, entry, 429, _OVERLOADED)
        elif "server_error" in faults:
            self._refuse(connection, entry, 500, "The server had an error while processing your request.")
        elif "bad_gateway_html" in faults:
            self._refuse_with(connection, entry, 502, _HTML, b"text/html")
        elif "error_as_200" in faults:
            self._refuse(connection, entry, 200, _OVERLOADED)
        elif "redirect_loop" in faults:
            self._refuse(connection, entry, 307, "Moved", b"Location: " + entry.path.encode())
        else:
            return False
        return True


def _answer(connection: Connection, status: int, body: bytes, kind: bytes = JSON, *more: bytes) -> None:
    connection.finish(head(status, kind, len(body), *more) + body)
