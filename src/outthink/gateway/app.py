"""The ASGI application: which path is whose. What a path does lives in the module of its protocol.

/v1/chat/completions, /v1/completions, /v1/responses, /v1/models
/v1/STRATEGY/chat/completions, /v1/STRATEGY/SCORER/chat/completions    the same with a strategy, for clients that know only URLs
/health, /ready, /openapi.json, and what else the gateway was given
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outthink.core.errors import MissingExtra
from outthink.gateway.chat import read_chat
from outthink.gateway.completions import read_completion
from outthink.gateway.description import description
from outthink.gateway.endpoints import Generating, Models
from outthink.gateway.gateway import Gateway
from outthink.gateway.refusal import Refusal
from outthink.gateway.responses import read_response

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response


def make_app(gateway: Gateway) -> Starlette:
    """The application of one gateway. Raises MissingExtra."""
    try:
        from starlette.applications import Starlette
        from starlette.exceptions import HTTPException
        from starlette.responses import JSONResponse
        from starlette.routing import Route
    except ImportError:
        raise MissingExtra("the gateway", "serve") from None

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        why = gateway.why_not_ready()
        return JSONResponse({"status": "not ready", "reason": why} if why else {"status": "ready"}, 503 if why else 200)

    async def openapi(request: Request) -> Response:
        return JSONResponse(description())

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        words = {
            404: f"there is nothing at {request.url.path[:200]}; the API begins at /v1",
            405: f"{request.method} is not for this path",
        }
        refusal = Refusal(error.status_code, words.get(error.status_code, error.detail), headers=error.headers)
        return JSONResponse(refusal.document(), refusal.status, refusal.headers())

    def posted(path: str, endpoint: Any) -> list[Route]:
        prefixes = ("/v1", "/v1/{strategy}", "/v1/{strategy}/{scorer}")
        return [Route(f"{prefix}{path}", endpoint, methods=["POST"]) for prefix in prefixes]

    models = Models(gateway)
    routes = [
        *posted("/chat/completions", Generating(gateway, read_chat)),
        *posted("/completions", Generating(gateway, read_completion)),
        *posted("/responses", Generating(gateway, read_response)),
        Route("/v1/models", models, methods=["GET"]),
        Route("/v1/models/{name:path}", models, methods=["GET"]),
        Route("/v1/{strategy}/models", models, methods=["GET"]),
        Route("/v1/{strategy}/{scorer}/models", models, methods=["GET"]),
        Route("/health", health, methods=["GET"]),
        Route("/ready", ready, methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
        *gateway.routes,
    ]
    # Paths with a strategy come last: /v1/chat/completions is no strategy called "chat".
    routes.sort(key=lambda route: str(getattr(route, "path", "")).startswith("/v1/{strategy}"))
    return Starlette(routes=routes, exception_handlers={HTTPException: unknown})
