"""The virtual driver: an event loop whose clock jumps to the next timer instead of waiting for it.

The same interpreter, ledger and limiters run on it as on a live loop, so a simulation of an hour takes milliseconds and
gives the same answers. Real work that a simulation must wait for (a worker process that compares formulas) is wrapped in
`real_time`, during which the virtual clock stands still.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, Self, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _JumpingSelector(selectors.DefaultSelector):
    """Polls for real events, and where the loop would sleep moves the virtual clock on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.real_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or (self.real_work and timeout > 0):
            # Nothing is scheduled, or real work is under way: only the world can wake us.
            return super().select(None)
        found = super().select(0)
        if not found:
            self.now += timeout
        return found


class _When(float):
    """A timer's time; of two equal ones the timer that was made first is the smaller."""

    order: int

    def __new__(cls, when: float, order: int) -> Self:
        made = super().__new__(cls, when)
        made.order = order
        return made

    def __lt__(self, other: float) -> bool:
        if isinstance(other, _When) and self == other:
            return self.order < other.order
        return super().__lt__(other)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: starts at 0 s and takes no real time to sleep."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        self._timers = itertools.count()
        super().__init__(self._jumping)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Virtual time stands still while code runs, so that many timers are equal: they go off in the order of their making."""
        return super().call_at(_When(when, next(self._timers)), callback, *args, context=context)

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
