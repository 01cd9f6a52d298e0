"""Samples of one problem that run beside each other, told one by one as they end. When to stop is the strategy's."""

from __future__ import annotations

from typing import Any

from outthink.core.errors import BadInput, Cut, shortly
from outthink.core.operation import EventKind, Handle
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample

MOST_STREAMS = 10_000
"""Each is a task of its own, and kilobytes in memory."""


class Race:
    """Streams under way.

    how:   settings of `Run.start`; where its `rule` says so a stream is left, and its partial sample told
    errors: why those that failed did
    """

    def __init__(self, run: Run, problem: Problem, **how: Any) -> None:
        self.run, self.problem, self.how = run, problem, how
        self.under_way: list[Handle] = []
        self.errors: list[Exception] = []

    async def start(self, n: int = 1) -> None:
        """Begin n more. Raises BadInput for more than `MOST_STREAMS` at once."""
        if len(self.under_way) + n > MOST_STREAMS:
            raise BadInput(f"{shortly(n)} samples would begin at once, and {MOST_STREAMS:,} can", where="n")
        for _ in range(n):
            self.under_way.append(await self.run.start(self.problem, **self.how))

    async def ended(self) -> Sample | None:
        """The next sample that ended, or was left by the rule before anything else ended (then it is partial); None: no more."""
        while self.under_way:
            event = await self.run.next(self.under_way)
            self.under_way.remove(event.handle)
            if event.kind is EventKind.PARTIAL:
                left: Sample | None = (await self.run.cancel(event.handle)).value
                if left is not None:
                    return left
            elif event.kind is EventKind.DONE:
                whole: Sample = event.value[0]
                return whole
            elif isinstance(event.error, Cut):
                raise event.error
            elif event.error is not None:
                self.errors.append(event.error)
        return None

    async def leave(self) -> list[Sample]:
        """Leave all that is under way; what had arrived of them."""
        left = [(await self.run.cancel(handle)).value for handle in self.under_way]
        self.under_way.clear()
        return [sample for sample in left if sample is not None]
