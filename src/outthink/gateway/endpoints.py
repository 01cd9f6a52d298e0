"""What every path does before its protocol: who asks, the body within bounds, and every failure as one reply.

An endpoint is an ASGI application, because an answer must go on listening to its client.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from outthink.core.errors import OutthinkError
from outthink.gateway.body import ClientLeft, Receive, parsed, read_body
from outthink.gateway.choosing import Place, model_of
from outthink.gateway.gateway import Gateway, new_id
from outthink.gateway.model import Model
from outthink.gateway.preparing import Arrival, Ready
from outthink.gateway.refusal import Refusal, bug, refusal_of
from outthink.gateway.reply import Reply, Send, Writer, encoded, refuse
from outthink.gateway.seams import Caller

Read = Callable[[Arrival, Mapping[str, Any]], tuple[Ready, Writer]]
_LOG = logging.getLogger("outthink.gateway")
_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
DRAINING_SECONDS = 5.0


class Generating:
    """A path that generates. `read` understands its protocol."""

    def __init__(self, gateway: Gateway, read: Read) -> None:
        self._gateway, self._read = gateway, read

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        gateway, headers = self._gateway, headers_of(scope)
        request_id = id_of(headers)
        shown = {"X-Request-ID": request_id}
        with gateway.bodies.one() as grown:
            try:
                reply = await self._reply(scope, headers, receive, request_id, shown, grown)
            except ClientLeft:
                return
            except OutthinkError as error:
                await _refused(gateway, scope, refusal_of(error), request_id, send)
                return
            except Exception:  # noqa: BLE001  # a bug of ours must not pass for a broken connection
                _LOG.exception("a request could not be read: this is a bug of Outthink's", extra={"request_id": request_id})
                await _refused(gateway, scope, bug(), request_id, send)
                return
            await reply(scope, receive, send)

    async def _reply(
        self,
        scope: Mapping[str, Any],
        headers: Mapping[str, str],
        receive: Receive,
        request_id: str,
        shown: Mapping[str, str],
        grown: Callable[[int], None],
    ) -> Reply:
        gateway = self._gateway
        caller = caller_of(gateway, scope, headers)
        if gateway.draining:
            close = {"Connection": "close"}
            raise Refusal(503, "this gateway is going down", code="draining", retry_after=DRAINING_SECONDS, headers=close)
        most, seconds = gateway.body_bytes, gateway.read_seconds
        body = await read_body(receive, headers, most_bytes=most, seconds=seconds, grown=grown)
        began = time.perf_counter()
        found = parsed(body, nesting=gateway.nesting)
        path = scope.get("path_params", {})
        place = Place(path.get("strategy", ""), path.get("scorer", ""), headers)
        arrival = Arrival(gateway, caller, place, request_id, began, int(time.time()), headers.get("traceparent", ""))
        ready, writer = self._read(arrival, found)
        return Reply(gateway, ready.job, ready.bound, writer, progress=ready.chosen.progress, headers=shown, began=began)


class Models:
    """/v1/models and /v1/models/NAME: what this caller may ask for."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = headers_of(scope)
        request_id = id_of(headers)
        try:
            caller = caller_of(self._gateway, scope, headers)
            name = scope.get("path_params", {}).get("name")
            found: object
            if name is not None:
                found = _one(self._gateway, caller, str(name))
            else:
                shown = [(each, model) for each, model in self._gateway.models.items() if _may(caller, model)]
                found = {"object": "list", "data": [described(each, model) for each, model in shown]}
        except OutthinkError as error:
            await _refused(self._gateway, scope, refusal_of(error), request_id, send)
            return
        await _document(send, 200, found, request_id)


def _one(gateway: Gateway, caller: Caller, name: str) -> dict[str, Any]:
    """The model of any name that requests may give. Raises Refusal (404)."""
    try:
        model, choice = model_of(gateway, caller, name)
    except Refusal as refusal:
        raise Refusal(404, str(refusal), code=refusal.code, param="model") from None
    if choice is None or choice.strategy is None:
        return described(name, model)
    return described(name, model, choice.strategy.name if choice.n is None else f"{choice.strategy.name}:{choice.n}")


def described(name: str, model: Model, strategy: str = "") -> dict[str, Any]:
    """A model as OpenAI lists it. strategy: the one that its name chooses; "" is the model's own."""
    return {
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": "outthink",
        "outthink": {"strategy": strategy or model.strategy},
    }


def _may(caller: Caller, model: Model) -> bool:
    return not caller.models or model.name in caller.models


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Headers by their names in lower case; of repeated ones the last."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def id_of(headers: Mapping[str, str]) -> str:
    """The client's own request id where it is a sane one, else a new one."""
    given = headers.get("x-request-id", "")
    return given if _ID.fullmatch(given) else new_id("")


def caller_of(gateway: Gateway, scope: Mapping[str, Any], headers: Mapping[str, str]) -> Caller:
    """Who asks. Raises Refusal."""
    client = scope.get("client")
    return gateway.keys.caller(headers, client[0] if client else "")


async def _refused(gateway: Gateway, scope: Mapping[str, Any], refusal: Refusal, request_id: str, send: Send) -> None:
    for observer in gateway.observers:
        observer.refused(scope["path"], refusal, request_id)
    await refuse(refusal, send, [(b"x-request-id", request_id.encode())])


async def _document(send: Send, status: int, found: object, request_id: str) -> None:
    body = encoded(found)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
