"""Pieces of an answer that can't change any more, on their way to a client while they are generated."""

from __future__ import annotations

import asyncio
from collections import deque

from outthink.core.backend import Delta
from outthink.core.errors import BackendError
from outthink.core.operation import Generate
from outthink.gateway.counting import is_verifying
from outthink.runtime.listening import Listener


class Bell:
    """Wakes the one who waits; rings that nobody waits for are kept."""

    def __init__(self) -> None:
        self._rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self, *_: object) -> None:
        """Wake."""
        self._rung = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def rung(self, seconds: float) -> bool:
        """Wait until it rings, or so many seconds; whether it rang."""
        if not self._rung:
            loop = asyncio.get_running_loop()
            self._waiter = waiter = loop.create_future()
            timer = loop.call_later(seconds, _give_up, waiter)
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiter = None
        rung, self._rung = self._rung, False
        return rung


def _give_up(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Live(Listener):
    """Takes the pieces of samples that are answers, whatever comes: of a strategy that draws one, or as many as are given back.

    An attempt that broke after its first piece is not repeated: a second one would say something else.
    """

    streams = True

    def __init__(self, bell: Bell) -> None:
        self.pieces: deque[tuple[int, Delta]] = deque()
        self.begun: set[int] = set()
        self._bell = bell

    def piece(self, operation: Generate, delta: Delta) -> None:
        """Keep a piece."""
        if not is_verifying(operation):
            index = operation.key.path[0] if operation.key.path else 0
            self.begun.add(index)
            self.pieces.append((index, delta))
            self._bell.ring()

    def attempt_failed(self, operation: Generate, index: int, error: BackendError) -> bool:
        """Whether nothing of it was passed on."""
        return is_verifying(operation) or (operation.key.path[0] if operation.key.path else 0) not in self.begun
