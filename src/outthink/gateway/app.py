"""The ASGI application: paths, and what is the same on all of them. What a path does lives in the module of its protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from outthink.core.errors import MissingExtra
from outthink.gateway.gateway import Gateway

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    Endpoint = Callable[[Request], Awaitable[Response]]


def make_app(gateway: Gateway) -> Starlette:
    """The application of one gateway. Raises MissingExtra."""
    try:
        from starlette.applications import Starlette
        from starlette.responses import JSONResponse
        from starlette.routing import Route
    except ImportError:
        raise MissingExtra("the gateway", "serve") from None

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        why = gateway.why_not_ready()
        return JSONResponse({"status": "not ready", "reason": why} if why else {"status": "ready"}, 503 if why else 200)

    routes = [Route("/health", health), Route("/ready", ready), *gateway.routes]
    return Starlette(routes=routes)
