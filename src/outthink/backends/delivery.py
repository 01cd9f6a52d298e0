"""Pieces of one sample on their way from the thread that makes them to the event loop that waits for the sample."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from outthink.core.backend import Delta

__all__ = ["Delivery"]


class Delivery:
    """watch:  what a request is told; None: nothing
    left:   set by the loop, read by the thread before each token: nobody wants more
    failed: what `watch` raised
    """

    def __init__(self, watch: Callable[[Delta], bool] | None, loop: asyncio.AbstractEventLoop) -> None:
        self._watch, self._loop = watch, loop
        self._waiting: deque[Delta] = deque()
        self._told = False
        self.left = False
        self.failed: BaseException | None = None

    def put(self, delta: Delta) -> None:
        """On the thread: send a piece on."""
        if self._watch is None:
            return
        self._waiting.append(delta)
        if not self._told:  # else a delivery is on its way already
            self._told = True
            self._loop.call_soon_threadsafe(self.deliver)

    def deliver(self) -> None:
        """On the loop: hand over what arrived."""
        self._told = False  # before looking: what arrives from here on tells the loop again
        try:
            while self._waiting and not self.left and self._watch is not None:
                self.left = self._watch(self._waiting.popleft())
        except BaseException as error:  # noqa: BLE001  # raised where the caller waits
            self.left, self.failed = True, error
