"""Requests of one operation that are under way, each in a task of its own. What they are for is not known here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


class UnderWay:
    """Tasks that nobody else knows."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], Callable[[], object]] = {}
        self._error: BaseException | None = None
        self._woken: asyncio.Future[None] | None = None
        self._wake_at = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, request: Coroutine[None, None, None], ended: Callable[[], object]) -> None:
        """Begin a request; `ended` is called when it ends, also where it was cancelled before it began."""
        task = asyncio.create_task(request)
        self._tasks[task] = ended
        task.add_done_callback(self._ended)

    def check(self) -> None:
        """Raise what a request raised."""
        if self._error is not None:
            raise self._error

    async def until(self, count: int) -> None:
        """Wait until at most so many are under way. Raises what a request raised."""
        while self._error is None and len(self._tasks) > count:
            self._wake_at, self._woken = count, asyncio.get_running_loop().create_future()
            await self._woken
        self.check()

    async def stop(self) -> None:
        """Cancel them all, and wait until each has ended."""
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task)()
        if not task.cancelled():
            self._error = task.exception() or self._error  # asked of each: one that nobody asks complains
        if self._woken is not None and not self._woken.done() and (self._error or len(self._tasks) <= self._wake_at):
            self._woken.set_result(None)
