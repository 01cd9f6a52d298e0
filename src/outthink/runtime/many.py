"""Many runs at once: begun only as fast as the generator takes them, told as they end. One run is the interpreter's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from outthink.core.selection import Result
from outthink.runtime.interpreter import Interpreter
from outthink.runtime.limiter import Limiter
from outthink.runtime.spec import RunSpec

MOST_RUNS = 256
"""Runs under way at once, or twice the generator's limit where that is more: memory stays bounded."""


class _Fleet:
    """Runs under way and ended. A run counts until its result was taken, so a slow taker holds back new runs."""

    def __init__(self) -> None:
        self.under_way: set[asyncio.Task[Result]] = set()
        self.ended: asyncio.Queue[tuple[RunSpec, asyncio.Task[Result]] | None] = asyncio.Queue()
        self.count = 0
        self.room: asyncio.Future[None] | None = None

    def launch(self, spec: RunSpec, run: Interpreter) -> None:
        task = asyncio.create_task(run.run())
        self.count += 1
        self.under_way.add(task)
        task.add_done_callback(lambda task: self.ended.put_nowait((spec, task)))

    def taken(self, task: asyncio.Task[Result]) -> None:
        self.count -= 1
        self.under_way.discard(task)
        if self.room is not None and not self.room.done():
            self.room.set_result(None)

    async def begin(self, specs: Iterable[RunSpec], make: Callable[[RunSpec], Interpreter], limiter: Limiter) -> None:
        """Launch runs while there is room; None in the queue says that the last one was launched."""
        try:
            for spec in specs:
                while self.count >= max(MOST_RUNS, 2 * limiter.limit):
                    self.room = asyncio.get_running_loop().create_future()
                    await self.room
                await limiter.hungry()
                self.launch(spec, make(spec))
                await asyncio.sleep(0)  # let it ask for its slots, so that the limiter knows of it
        finally:
            self.ended.put_nowait(None)


async def many(
    specs: Iterable[RunSpec], make: Callable[[RunSpec], Interpreter], limiter: Limiter
) -> AsyncIterator[tuple[RunSpec, Result]]:
    """Carry out runs and yield each with its result as it ends; specs are taken only as fast as they run.

    Leaving the iteration early cancels what is under way and leaves the journal resumable. Raises what a run raises.
    """
    fleet = _Fleet()
    beginner = asyncio.create_task(fleet.begin(specs, make, limiter))
    all_begun = False
    try:
        while not (all_begun and fleet.count == 0):
            ended = await fleet.ended.get()
            if ended is None:
                all_begun = True
                await beginner
                continue
            spec, task = ended
            fleet.taken(task)
            yield spec, task.result()
    finally:
        beginner.cancel()
        for task in fleet.under_way:
            task.cancel()
        await asyncio.gather(beginner, *fleet.under_way, return_exceptions=True)
