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

THERE = "/v1/chat/completions, /v1/completions, /v1/responses, /v1/models and /openapi.json"


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
            404: f"there is nothing at {request.url.path[:200]}; there are {THERE}",
            405: f"{request.method[:20]} is not for this path; it takes {(error.headers or {}).get('Allow', 'other methods')}",
        }
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "")
        refusal = Refusal(error.status_code, words.get(error.status_code, error.detail), code=code, headers=error.headers)
        return JSONResponse(refusal.document(), refusal.status, refusal.headers())

    def at(path: str, endpoint: Any, method: str) -> list[Route]:
        """With a slash at the end too: a redirect, which knows the scheme of the last proxy only, might lose key and body.

        That goes first: a name in a path takes all that is left.
        """
        paths = [
            f"{prefix}{path}{slash}" for slash in ("/", "") for prefix in ("/v1", "/v1/{strategy}", "/v1/{strategy}/{scorer}")
        ]
        return [Route(each, endpoint, methods=[method]) for each in paths]

    models = Models(gateway)
    routes = [
        *at("/chat/completions", Generating(gateway, read_chat), "POST"),
        *at("/completions", Generating(gateway, read_completion), "POST"),
        *at("/responses", Generating(gateway, read_response), "POST"),
        *at("/models", models, "GET"),
        *at("/models/{name:path}", models, "GET"),
        Route("/health", health, methods=["GET"]),
        Route("/ready", ready, methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
        *gateway.routes,
    ]
    # Paths with a strategy come last: /v1/chat/completions is no strategy called "chat".
    routes.sort(key=lambda route: str(getattr(route, "path", "")).startswith("/v1/{strategy}"))
    return Starlette(routes=routes, exception_handlers={HTTPException: unknown})
