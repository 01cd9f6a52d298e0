"""From HTTP statuses and error bodies to typed errors that carry the server's own words, bounded and without keys."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from outthink.core.errors import BackendError, Lost, Permanent, Refused

__all__ = ["error_in", "failure", "retry_after", "words_of"]

WORDS = 300
"""Characters of a server's message that are kept."""

_OVERLOADED = frozenset({429, 503, 529})
_REFUSED = frozenset({408, 409, 425}) | _OVERLOADED
_HOPELESS = frozenset({501, 505})
_NO_MONEY = (b"insufficient_quota", b"billing_hard_limit")


def words_of(body: bytes | object, hide: Callable[[str], str] = str) -> str:
    """What a server said in an error body, as one short line: its message where it is JSON, else its beginning.

    `hide` takes keys out; it sees the text before it is cut.
    """
    if isinstance(body, bytes):
        text = body[:65536].decode("utf-8", "replace")
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = text
    for _ in range(2):  # {"error": {"message": ...}}, {"error": ...}, {"message": ...}, {"detail": ...}
        if isinstance(body, dict):
            body = next((body[name] for name in ("error", "message", "detail") if body.get(name)), body)
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    text = hide(text)[: 4 * WORDS]
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= WORDS else line[: WORDS - 3] + "..."


def retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds from a Retry-After header: a number or an HTTP date; None where it is missing or neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now()
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def failure(
    where: str, status: int, body: bytes | object, *, wait: float | None = None, hide: Callable[[str], str] = str
) -> BackendError:
    """The error for a status that isn't 200, or for an error object (`status` is then its code, or 500).

    Refused before generation: 408, 409, 425, 429, 503, 529. Lost: other 5xx, since a server may fail after generating.
    Everything else is Permanent, as are 501, 505 and a 429 that means that there is no money left.
    """
    words = words_of(body, hide)
    message = f"{where} answered {status}: {words or 'nothing'}"
    if 300 <= status < 400:
        return Permanent(
            f"{where} redirects elsewhere ({status}), which is not followed; give the address it redirects to", status=status
        )
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    if status in _REFUSED and not (status == 429 and any(sign in raw for sign in _NO_MONEY)):
        return Refused(message, status=status, retry_after=wait, overloaded=status in _OVERLOADED)
    if status >= 500 and status not in _HOPELESS:
        return Lost(message, status=status, retry_after=wait)
    return Permanent(message, status=status)


def error_in(answer: dict[str, Any]) -> tuple[int, object] | None:
    """The code and the object of an error that came with status 200; None for a body that is no error."""
    error = answer.get("error")
    if error is None and answer.get("object") == "error":
        error = answer  # older vLLM
    if not error:
        return None
    code = error.get("code") if isinstance(error, dict) else None
    return (code if isinstance(code, int) and 400 <= code < 600 else 500), error
