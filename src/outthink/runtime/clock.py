"""The virtual driver: an event loop whose clock jumps to the next timer instead of waiting for it.

The same interpreter, ledger and limiters run on it as on a live loop, so a simulation of an hour takes milliseconds and
gives the same answers. Real work that a simulation must wait for (a worker process that compares formulas) is wrapped in
`real_time`, during which the virtual clock stands still.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Polls for real events, and where the loop would sleep moves the virtual clock on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.real_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or self.real_work:
            # Nothing is scheduled, or real work is under way: only the world can wake us.
            return super().select(None if self.real_work or timeout is None else timeout)
        found = super().select(0)
        if not found:
            self.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: starts at 0 s and takes no real time to sleep."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now

    @contextmanager
    def real_time(self) -> Iterator[None]:
        """Hold the virtual clock still while something real is awaited."""
        self._jumping.real_work += 1
        try:
            yield
        finally:
            self._jumping.real_work -= 1


@contextmanager
def real_time() -> Iterator[None]:
    """`VirtualLoop.real_time` of the running loop; on a live loop it changes nothing."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        with loop.real_time():
            yield
    else:
        yield


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
