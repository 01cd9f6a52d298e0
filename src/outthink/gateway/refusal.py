"""Errors as clients of OpenAI's protocol get them: a status, a sentence and a code. An error is never an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from outthink.core.errors import (
    BackendError,
    BadInput,
    Lost,
    OutthinkError,
    Permanent,
    Refused,
    UnknownName,
    Unsupported,
    UsageError,
)

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
LONGEST = 3000
"""Characters of what is said about one value."""
_AGAIN = {408, 409, 429, 502, 503, 504}


class Refusal(OutthinkError):
    """A request that gets no answer.

    status:      HTTP status
    code:        a word for programs, such as "unknown_model"
    param:       the field of the request that is meant, or None
    retry_after: seconds after which it is worth trying again, or None
    headers:     further ones of the reply
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        param: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param, self.retry_after = (
            status,
            code or _TYPES.get(status, "server_error"),
            param,
            retry_after,
        )
        self._headers, self.usage = dict(headers or {}), usage

    def document(self) -> dict[str, Any]:
        """The body. `usage`, where something was spent, is what OpenAI's shape has no place for."""
        kind = _TYPES.get(self.status, "server_error")
        error = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        return {"error": error} if self.usage is None else {"error": error, "usage": dict(self.usage)}

    def body(self) -> bytes:
        """The body in bytes."""
        return json.dumps(self.document(), ensure_ascii=False).encode("utf-8", "replace")

    def headers(self) -> dict[str, str]:
        """Its headers. OpenAI's clients repeat 408, 409, 429 and 5xx by themselves unless they are told not to."""
        found = dict(self._headers)
        if self.status == 401:
            found.setdefault("WWW-Authenticate", "Bearer")
        if self.retry_after is not None:
            found["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        if self.status not in _AGAIN:
            found["X-Should-Retry"] = "false"
        return found


def bug() -> Refusal:
    """What a client is told of a bug of ours: nothing that could hold what isn't its own."""
    return Refusal(500, "this is a bug of Outthink's; the gateway's log says more", code="internal_error")


@contextmanager
def said_by(field: str | None) -> Iterator[None]:
    """What is wrong with a value is told of the client's own field, whatever our parts call it; None: no field alone is wrong."""
    try:
        yield
    except Refusal:
        raise
    except UsageError as error:
        raise _of_usage(error, field) from None


def refusal_of(error: OutthinkError, field: str | None = None) -> Refusal:
    """What a client is told of an error of ours; `field` is the one that it is about, if it is the client's mistake."""
    match error:
        case Refusal():
            return error
        case UsageError():
            return _of_usage(error, field)
        case BackendError():
            return _of_backend(error)
        case _:
            return Refusal(500, str(error), code="internal_error")


def _of_usage(error: UsageError, field: str | None) -> Refusal:
    message = str(error)
    if field is not None and isinstance(error, BadInput):
        message = f"{field}: {message.removeprefix(f'{error.where}: ')}"
    if len(message) > LONGEST:  # it may repeat what it was given
        message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"
    return Refusal(400, message, code=_code_of(error), param=field)


def _code_of(error: UsageError) -> str:
    match error:
        case UnknownName() if error.kind == "strategy":
            return "unknown_strategy"
        case UnknownName() if error.kind.startswith(("parameter of", "setting of")):
            return "unknown_parameter"
        case BadInput() | UnknownName():
            return "invalid_value"
        case Unsupported():
            return "unsupported"
        case _:
            return ""


def _of_backend(error: BackendError) -> Refusal:
    status = error.status
    match error:
        case Refused():
            if status == 429:
                return Refusal(429, str(error), code="upstream_overloaded", retry_after=error.retry_after)
            return Refusal(503, str(error), code="upstream_unavailable", retry_after=error.retry_after)
        case Permanent() if status == 503:  # every upstream of the model is out
            return Refusal(503, str(error), code="upstream_unavailable", retry_after=error.retry_after)
        case Permanent() if status in (400, 413, 415, 422):
            return Refusal(status, str(error), code="upstream_refused")
        case Lost() if status is None or status in (408, 504):
            return Refusal(504 if "in time" in str(error) or "within" in str(error) else 502, str(error), code="upstream_lost")
        case _:
            return Refusal(502, str(error), code="upstream_failed")
