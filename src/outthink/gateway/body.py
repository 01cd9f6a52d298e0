"""Request bodies, which are hostile: read within bounds, their fields taken one by one. What a field means is not known here."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

from outthink.gateway.refusal import Refusal

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


FREE = 1 << 16
"""Bytes of each body that don't count against all of them together: whoever sends large ones must not keep small ones out."""


class ClientLeft(Exception):
    """The client went away before its request was complete."""


class Bodies:
    """What the bodies of all requests take together, from their first byte until they are answered.

    most: bytes, not counting the first `FREE` of each
    """

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    @contextmanager
    def one(self) -> Iterator[Callable[[int], None]]:
        """Call it with the size that this request's body has reached. Raises Refusal (429) where all together are too large."""
        mine = 0

        def grown(size: int) -> None:
            nonlocal mine
            more = max(0, size - FREE) - mine
            if more > 0 and self.held > mine and self.held + more > self.most:  # one alone may be larger
                close = {"Connection": "close"}
                raise Refusal(
                    429, "too many large requests at once; try again", code="overloaded", retry_after=1.0, headers=close
                )
            self.held += more
            mine += more

        try:
            yield grown
        finally:
            self.held -= mine


async def read_body(
    receive: Receive,
    headers: Mapping[str, str],
    *,
    most_bytes: int,
    seconds: float,
    grown: Callable[[int], None] = lambda size: None,
) -> bytes:
    """The whole body; `grown` hears how large it is so far. Raises Refusal (413, 408, 415, what `grown` raises), ClientLeft."""
    if headers.get("content-encoding", "").strip().lower() not in ("", "identity"):
        raise Refusal(415, "send the body without Content-Encoding; compressed ones are not read")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > most_bytes:
        raise _too_large(most_bytes)
    pieces, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientLeft
                piece = message.get("body", b"")
                size += len(piece)
                if size > most_bytes:
                    raise _too_large(most_bytes)
                grown(size)
                pieces.append(piece)
                if not message.get("more_body", False):
                    return b"".join(pieces)
    except TimeoutError:
        headers_of_close = {"Connection": "close"}
        raise Refusal(408, f"the request was not complete after {seconds:g} s", headers=headers_of_close) from None


def _too_large(most: int) -> Refusal:
    return Refusal(413, f"the request is larger than {most} bytes", code="request_too_large", headers={"Connection": "close"})


def parsed(body: bytes, *, nesting: int) -> dict[str, Any]:
    """The JSON object in a body. Raises Refusal (400) for anything else: NaN, 1e999, half characters, too deep, no object."""
    try:
        text = body.decode()
        found = strict(text)
    except UnicodeDecodeError:
        raise Refusal(400, "the body is not valid UTF-8", code="invalid_json") from None
    except RecursionError:
        raise _too_deep(nesting) from None
    except ValueError as error:
        field = _not_finite(body, nesting)
        raise Refusal(400, f"the body is not valid JSON: {str(error)[:200]}", code="invalid_json", param=field) from None
    if not isinstance(found, dict):
        raise Refusal(400, "the body must be a JSON object", code="invalid_json")
    if "\\ud" in text or "\\uD" in text or body.count(b"[") + body.count(b"{") > nesting:
        _check(found, nesting)
    return found


def strict(text: str) -> Any:
    """JSON with finite numbers only: Python would take NaN, and 1e999 for infinity. Raises ValueError, RecursionError."""
    return json.loads(text, parse_constant=_no_number, parse_float=_finite)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:40]} is too large a number")
    return number


def _not_finite(body: bytes, nesting: int) -> str | None:
    """The field that holds NaN or an infinite number, where that is all that is wrong with a body; None: it isn't."""
    try:
        inside: list[Iterator[tuple[Any, Any]]] = [iter([("", json.loads(body))])]
    except (ValueError, RecursionError):
        return None
    names: list[Any] = []  # put together for the one that is found only: a body may hold millions of places, deep inside
    while inside:
        for name, each in inside[-1]:
            if isinstance(each, float) and not math.isfinite(each):
                way = "".join(f"[{part}]" if isinstance(part, int) else f".{part[:100]}" for part in [*names, name][1:])
                return way.removeprefix(".") or None
            if isinstance(each, (dict, list)) and len(inside) <= nesting:
                names.append(name)
                inside.append(iter(each.items()) if isinstance(each, dict) else enumerate(each))
                break
        else:
            inside.pop()
            del names[-1:]
    return None


def _too_deep(nesting: int) -> Refusal:
    return Refusal(400, f"the body nests deeper than {nesting} levels", code="invalid_json")


def _check(found: Any, nesting: int) -> None:
    """Refuse what nests too deeply, and half characters (lone surrogates), which no model can read and no log can write."""
    layer: list[Any] = [found]
    for _ in range(nesting):
        deeper: list[Any] = []
        for each in layer:
            if isinstance(each, str):
                try:
                    each.encode()
                except UnicodeEncodeError:
                    raise Refusal(400, "the body holds half a character (a lone surrogate)", code="invalid_json") from None
            elif isinstance(each, dict):
                deeper += each.keys()
                deeper += each.values()
            elif isinstance(each, list):
                deeper += each
        if not deeper:
            return
        layer = deeper
    raise _too_deep(nesting)


class Fields:
    """The fields of a JSON object, taken one by one; null counts as missing. What is `left` at the end was not understood.

    where: what stands before their names in errors ("" for the body itself)
    """

    def __init__(self, found: Mapping[str, Any], where: str = "") -> None:
        self.left = {name: value for name, value in found.items() if value is not None}
        self.given = frozenset(self.left)
        self._where = where

    def named(self, name: str) -> str:
        """The name as errors tell it."""
        return f"{self._where}.{name}" if self._where else name

    def refuse(self, name: str, must: str) -> Refusal:
        """The refusal of a field's value."""
        return Refusal(400, f"{self.named(name)} must be {must}", code="invalid_value", param=self.named(name))

    def take(self, name: str) -> Any:
        """Whatever it is."""
        return self.left.pop(name, None)

    def _typed(self, name: str, kinds: type | tuple[type, ...], must: str) -> Any:
        value = self.left.pop(name, None)
        if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool)):
            raise self.refuse(name, must)
        return value

    def text(self, name: str, most: int = 1 << 16) -> str | None:
        """A text that isn't absurdly long."""
        value: str | None = self._typed(name, str, "a text")
        if value is not None and len(value) > most:
            raise self.refuse(name, f"at most {most} characters long")
        return value

    def whole(self, name: str, least: int = 0, most: int = 1 << 53) -> int | None:
        """A whole number."""
        value = self._typed(name, (int, float), f"a whole number from {least} to {most}")
        if value is not None and (value != int(value) or not least <= value <= most):
            raise self.refuse(name, f"a whole number from {least} to {most}")
        return None if value is None else int(value)

    def truth(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self._typed(name, bool, "true or false")
        return default if value is None else bool(value)

    def table(self, name: str) -> dict[str, Any] | None:
        """An object."""
        value: dict[str, Any] | None = self._typed(name, dict, "an object")
        return value

    def rows(self, name: str) -> list[Any] | None:
        """A list."""
        value: list[Any] | None = self._typed(name, list, "a list")
        return value
