"""Concurrent children of a run, written with Start, Next and Cancel only: the interpreter needs to know nothing of them.

Each child is a coroutine that yields operations. What it would wait for is started instead; one `Next` of the parent waits
for all children, and each event is handed to the child that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from outthink.core.errors import BudgetCut, Cut, OutthinkError
from outthink.core.operation import Cancel, Event, EventKind, Generate, Handle, Invoke, Next, Operation, Score, Start

if TYPE_CHECKING:
    from outthink.core.run import Run

T = TypeVar("T")


class _Child(Generic[T]):
    """One child's coroutine and what it waits for."""

    def __init__(self, run: Run, body: Coroutine[Any, Any, T]) -> None:
        self.run, self.body = run, body
        self.handles: tuple[Handle, ...] = ()
        self.wants_event = False
        self.done = False
        self.result: T | None = None

    async def step(self, value: Any = None, error: BaseException | None = None) -> None:
        """Resume the child until it waits for something or ends. Raises what the child raises."""
        while True:
            try:
                operation = self.body.throw(error) if error is not None else self.body.send(value)
            except StopIteration as stop:
                self.done, self.handles, self.result = True, (), stop.value
                return
            except BudgetCut as cut:
                self.done, self.handles = True, ()
                if cut.path is not None and cut.path[: len(self.run.path)] == self.run.path:
                    return  # its own budget: the others go on
                raise
            error = None
            if isinstance(operation, Next):
                self.handles, self.wants_event = operation.handles, True
                return
            if isinstance(operation, (Generate, Score, Invoke)):
                operation, self.wants_event = Start(operation.key, operation), False
                try:
                    self.handles = (await operation,)
                    return
                except OutthinkError as raised:
                    error = raised
                    continue
            try:
                # Start and Cancel answer at once. Anything else is passed up too: the interpreter knows how to refuse it.
                value = await _Passed(operation)
            except (OutthinkError, BudgetCut) as raised:
                error = raised

    async def take(self, event: Event) -> None:
        """Resume the child with an event of one of its handles."""
        if self.wants_event:
            await self.step(event)
        elif event.kind is EventKind.DONE:
            await self.step(event.value)
        elif event.kind is EventKind.FAILED:
            await self.step(error=event.error)

    async def leave(self) -> None:
        """Cancel what the child waits for and end it."""
        handles, self.handles = self.handles, ()
        self.body.close()
        if not self.done:
            self.done = True
            for handle in handles:
                await Cancel(self.run.key(), handle)


class _Passed:
    """Awaits a foreign value by yielding it upwards as it is."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    def __await__(self) -> Any:
        return (yield self.operation)


async def _each(run: Run, children: Sequence[_Child[T]], ended: Callable[[_Child[T]], bool]) -> None:
    """Drive children until all ended, or `ended` says so of one; whoever is left then is cancelled."""
    try:
        for child in children:
            await child.step()
            if child.done and ended(child):
                return
        while waiting := [child for child in children if not child.done]:
            owners = {handle: child for child in waiting for handle in child.handles}
            event: Event = await Next(run.key(), tuple(owners))
            child = owners[event.handle]
            await child.take(event)
            if child.done and ended(child):
                return
    except Cut:
        for child in children:
            child.body.close()
            child.done = True
        raise
    finally:
        for child in children:
            await child.leave()


async def gather(run: Run, pairs: Sequence[tuple[Run, Coroutine[Any, Any, T]]]) -> list[T | None]:
    """Results of all children in order; see `Run.all`."""
    children = [_Child(child, body) for child, body in pairs]
    await _each(run, children, lambda _: False)
    return [child.result for child in children]


async def race(run: Run, pairs: Sequence[tuple[Run, Coroutine[Any, Any, T]]], accept: Callable[[T], bool]) -> T | None:
    """The first accepted result; see `Run.first`."""
    children = [_Child(child, body) for child, body in pairs]
    won: list[T] = []

    def ended(child: _Child[T]) -> bool:
        if child.result is not None and accept(child.result):
            won.append(child.result)
        return bool(won)

    await _each(run, children, ended)
    return won[0] if won else None
