"""Pages for operators: /metrics. The page for people is `page`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outthink.gateway.refusal import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from outthink.gateway.operation import Operation


def operator(operation: Operation, request: Request) -> None:
    """Let only operators' keys pass. Raises Refusal: 401 without a valid key, 403 for another's."""
    address = request.client.host if request.client is not None else ""
    caller = operation.gateway.keys.caller(dict(request.headers), address)
    if not caller.operator:
        raise Refusal(403, "this needs an operator's key: set operator = true in its table", code="forbidden")


def metrics_route(operation: Operation) -> Route:
    """GET /metrics; for operators only, unless metrics.open."""
    from starlette.responses import Response
    from starlette.routing import Route

    async def metrics(request: Request) -> Response:
        if not operation.config.metrics.open:
            try:
                operator(operation, request)
            except Refusal as refusal:
                return Response(refusal.body(), refusal.status, refusal.headers(), "application/json")
        return Response(operation.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return Route("/metrics", metrics, methods=["GET"])
