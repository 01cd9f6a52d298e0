"""Where a strategy stands: names the line that awaited something foreign. Nothing else looks into coroutines."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any


def place_of(body: Coroutine[Any, Any, Any]) -> str:
    """`file:line` of the innermost coroutine that is suspended below `body`."""
    inner: Any = body
    while hasattr(following := getattr(inner, "cr_await", None), "cr_frame"):
        inner = following
    frame = getattr(inner, "cr_frame", None)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "a strategy"
