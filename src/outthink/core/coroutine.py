"""What is done to a strategy's coroutine from outside: say where it stands, and end it. Stepping it is the interpreter's."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from outthink.core.errors import Cut, ForeignAwait

REFUSALS = 1000
"""So many operations are refused while a coroutine ends; one that goes on asking is abandoned."""


def foreign(body: Coroutine[Any, Any, Any], awaited: object) -> ForeignAwait:
    """The error for a coroutine that awaited something that is no operation, naming the line."""
    inner: Any = body
    place, package = "a strategy", None
    while (frame := getattr(inner, "cr_frame", None)) is not None:
        # The innermost line of the strategy's own package: where asyncio or a client stands in itself helps nobody.
        if package in (None, found := frame.f_globals.get("__name__", "").partition(".")[0]):
            place, package = f"{frame.f_code.co_filename}:{frame.f_lineno}", found
        inner = inner.cr_await
    return ForeignAwait(
        f"{place}: a strategy can only await operations of its run, not {type(awaited).__name__}; "
        "bind your own async code as a role and call it with run.invoke"
    )


def end(body: Coroutine[Any, Any, Any], cut: Cut) -> None:
    """Throw a cut into a coroutine, and again at everything that it still awaits on its way out; harmless for one that ended."""
    for _ in range(REFUSALS):
        try:
            body.throw(cut)
        except BaseException:  # noqa: BLE001  # whatever it ends with, it was left
            return
