"""Serves the application: one process, one event loop, and an orderly end. Which requests there are is the application's."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from outthink.core.errors import BadInput, MissingExtra
from outthink.gateway.app import make_app
from outthink.gateway.gateway import Gateway

if TYPE_CHECKING:
    import uvicorn

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
"""After which an idle connection is closed: longer than clients and proxies keep theirs (5 to 60 s), or a request of theirs may
be on its way while we close."""


async def serve(
    gateway: Gateway,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    drain_seconds: float = 30.0,
    reload: Callable[[], None] | None = None,
    told: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then take no more requests, let those under way end for `drain_seconds`, and cut the rest.

    reload: called on SIGHUP
    told:   called with the base URL once it listens
    Raises BadInput for an address that can't be had, MissingExtra.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    taken = [signal.SIGTERM, signal.SIGINT]
    for each in taken:
        loop.add_signal_handler(each, stop.set)
    if reload is not None and hasattr(signal, "SIGHUP"):
        taken.append(signal.SIGHUP)
        loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        async with listening(gateway, host=host, port=port, drain_seconds=drain_seconds) as url:
            if told is not None:
                told(url)
            await stop.wait()
            gateway.draining = True
    finally:
        for each in taken:
            loop.remove_signal_handler(each)


@contextlib.asynccontextmanager
async def listening(
    gateway: Gateway, *, host: str = "127.0.0.1", port: int = 0, drain_seconds: float = 30.0
) -> AsyncIterator[str]:
    """The gateway's base URL while it listens; leaving drains it."""
    server, opened = _server(gateway, drain_seconds), _socket(host, port)
    task = asyncio.create_task(server.serve([opened]))
    try:
        while not server.started:
            if task.done():
                await task
                raise BadInput(f"can't listen on {host}:{port}", where="gateway")
            await asyncio.sleep(0.005)
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{opened.getsockname()[1]}"
    finally:
        gateway.draining = True
        server.should_exit = True
        await task
        opened.close()


def _server(gateway: Gateway, drain_seconds: float) -> uvicorn.Server:
    try:
        import uvicorn

        from outthink.gateway.connections import Connection
    except ImportError:
        raise MissingExtra("the gateway", "serve") from None

    class Server(uvicorn.Server):
        """Leaves signals to `serve`: a gateway may be a part of another program."""

        def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]  # a generator there
            return contextlib.nullcontext()

    config = uvicorn.Config(
        make_app(gateway),
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, math.ceil(drain_seconds)),
    )
    return Server(config)


def _socket(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise BadInput(f"{host} is no address: {error}", where="gateway") from None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise BadInput(f"can't listen on {host}:{port}: {error.strerror}", where="gateway") from None
    return opened
