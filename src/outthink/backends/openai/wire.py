"""HTTP: one connection pool to one server, bytes in both directions, every failure a typed error.

What the bytes mean must not live here. Redirects, cookies, compression and proxies of the environment are not used: each
could carry a key elsewhere or make a small reply large.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from outthink.backends.openai.address import Address, Secret
from outthink.backends.openai.failures import failure, retry_after, words_of
from outthink.backends.sse import Event, EventParser, OversizedEvent
from outthink.core.errors import BackendError, InternalError, Lost, Permanent, Refused

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession
    from yarl import URL

__all__ = ["Wire"]

CONNECT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 4.0
"""Idle connections live shorter here than on common servers (5 s): a call sent on one that the server closes is lost."""
ERROR_BYTES = 65536
_LAST = {"Connection": "close"}
"""For streams: llama.cpp closes after one without saying so, and a next call on that connection would be lost."""


class Wire:
    """A connection pool. `largest` bounds the bytes of one reply; one event of a stream may have a sixteenth of that."""

    def __init__(self, address: Address, key: Secret, largest: int) -> None:
        self.where = address.base
        self._base, self._root = address.base, address.root
        self.hide = key.hidden  # takes the key out of a text
        self._headers = key.header
        self._largest = largest
        self._session: ClientSession | None = None
        self._urls: dict[str, URL] = {}
        self._broken: tuple[type[Exception], ...] = (OSError, OversizedEvent)  # and the HTTP library's, once it is loaded

    async def open(self) -> None:
        """Make the pool; nothing is sent."""
        import aiohttp
        from aiohttp.http_exceptions import HttpProcessingError

        self._broken = (OSError, OversizedEvent, aiohttp.ClientError, HttpProcessingError)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "outthink"}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, ttl_dns_cache=300),
            headers=headers | self._headers(),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, timeout: float, *, root: bool = False) -> tuple[str, bytes]:
        """Server header and body of a 200; `root` leaves /v1 out of the URL. Raises Refused, Lost or Permanent."""
        try:
            async with asyncio.timeout(timeout):
                response = await self._send("GET", (self._root if root else self._base) + path, None)
                async with response:
                    return response.headers.get("Server", ""), await self._body(response)
        except self._broken as error:
            raise self._failed(error, timeout) from None

    async def post(self, path: str, body: bytes, timeout: float | None, *, root: bool = False) -> bytes:
        """The body of a 200; `root` as in `get`. Raises Refused, Lost or Permanent; being cancelled closes the connection."""
        try:
            async with asyncio.timeout(timeout):
                response = await self._send("POST", (self._root if root else self._base) + path, body)
                async with response:
                    return await self._body(response)
        except self._broken as error:
            raise self._failed(error, timeout) from None

    async def stream(self, path: str, body: bytes, timeout: float | None, take: Callable[[Event], bool]) -> bool:
        """Give each event to `take` until it returns True or the stream ends; whether `take` ended it.

        Leaving early closes the connection, which tells the server that it may stop. Raises as `post` does, and whatever
        `take` raises.
        """
        try:
            async with asyncio.timeout(timeout):
                response = await self._send("POST", self._base + path, body, _LAST)
                try:
                    if response.content_type == "application/json":  # an error, or a server that can't stream
                        return take(Event(b"message", await self._body(response)))
                    await self._check(response)
                    return await self._events(response, take)
                finally:
                    response.close()
        except self._broken as error:
            raise self._failed(error, timeout) from None

    async def _events(self, response: ClientResponse, take: Callable[[Event], bool]) -> bool:
        parser = EventParser(self._largest // 16)
        received = 0
        async for piece in response.content.iter_any():
            received += len(piece)
            if received > self._largest:
                raise Lost(f"{self.where} sent more than {self._largest} bytes", status=200)
            if any(take(event) for event in parser.feed(piece)):
                return True
        return any(take(event) for event in parser.close())

    async def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str] | None = None) -> ClientResponse:
        if self._session is None:
            raise InternalError("a backend was used before it was opened, or after it was closed")
        if (parsed := self._urls.get(url)) is None:
            from yarl import URL

            parsed = self._urls[url] = URL(url)
        return await self._session.request(method, parsed, data=body, headers=headers, allow_redirects=False)

    async def _check(self, response: ClientResponse) -> None:
        """Raise for anything but a 200 in plain."""
        if response.status != 200:
            body = b""
            while len(body) < ERROR_BYTES and (piece := await response.content.readany()):
                body += piece
            response.close()
            wait = retry_after(response.headers.get("Retry-After"))
            raise failure(self.where, response.status, body, wait=wait, hide=self.hide)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Lost(f"{self.where} compressed its reply although that was declined", status=200)

    async def _body(self, response: ClientResponse) -> bytes:
        await self._check(response)
        length = response.content_length
        if length is None or length > self._largest:
            pieces, received = [], 0
            while piece := await response.content.readany():
                received += len(piece)
                if received > self._largest:
                    response.close()
                    raise Lost(f"{self.where} sent more than {self._largest} bytes", status=200)
                pieces.append(piece)
            return b"".join(pieces)
        return await response.read()

    def _failed(self, error: Exception, timeout: float | None) -> BackendError:
        """What an exception of the HTTP library means for us."""
        import aiohttp

        words = words_of(str(error), self.hide) or type(error).__name__
        match error:
            case aiohttp.ClientSSLError():
                return Permanent(f"no secure connection to {self.where}: {words}")
            case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
                return Refused(f"no connection to {self.where}: {words.replace(' ssl:default', '')}", overloaded=True)
            case TimeoutError():
                after = f"within {timeout:g} s" if timeout is not None else "in time"
                return Lost(f"{self.where} did not answer {after}")
            case _:
                return Lost(f"the connection to {self.where} broke: {words}")
