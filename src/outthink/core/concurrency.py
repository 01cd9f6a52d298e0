"""Concurrent children of a run, written with Start, Next and Cancel only: the interpreter needs to know nothing of them.

Each child is a coroutine that yields operations. What it would wait for is started instead; one `Next` of the parent waits
for all children, and each event is handed to the child that it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from outthink.core.coroutine import end, foreign
from outthink.core.errors import BudgetCut, Cancelled, Cut, OutthinkError
from outthink.core.operation import Cancel, Event, EventKind, Generate, Handle, Invoke, Next, Score, Start

if TYPE_CHECKING:
    from outthink.core.run import Run

T = TypeVar("T")


class _Child(Generic[T]):
    """One child's coroutine, what it waits for, and everything that it has under way."""

    def __init__(self, run: Run, body: Coroutine[Any, Any, T]) -> None:
        self.run, self.body = run, body
        self.handles: tuple[Handle, ...] = ()
        self.open: dict[Handle, None] = {}
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
            value = error = None
            if isinstance(operation, Next):
                self.handles, self.wants_event = operation.handles, True
                return
            try:
                if isinstance(operation, (Generate, Score, Invoke)):
                    handle = await Start(operation.key, operation)
                    self.open[handle] = None
                    self.handles, self.wants_event = (handle,), False
                    return
                value = await self._passed_on(operation)
            except (OutthinkError, BudgetCut) as raised:
                error = raised

    async def _passed_on(self, operation: object) -> Any:
        """What answers at once: Start and Cancel."""
        if isinstance(operation, Start):
            handle = await operation
            self.open[handle] = None
            return handle
        if isinstance(operation, Cancel):
            self.open.pop(operation.handle, None)
            return await operation
        raise foreign(self.body, operation)

    async def take(self, event: Event) -> None:
        """Resume the child with an event of one of its handles."""
        if event.kind is not EventKind.PARTIAL:
            self.open.pop(event.handle, None)
        if self.wants_event:
            await self.step(event)
        elif event.kind is EventKind.DONE:
            await self.step(event.value)
        elif event.kind is EventKind.FAILED:
            await self.step(error=event.error)

    def end(self) -> None:
        """End the child; what it has under way is not cancelled."""
        if not self.done:
            self.done = True
            end(self.body, Cancelled("a parent run left this one"))

    async def leave(self) -> None:
        """End the child and cancel what it has under way."""
        self.end()
        handles, self.open = self.open, {}
        for handle in handles:
            await Cancel(self.run.wait_key(), handle)


async def _each(run: Run, children: Sequence[_Child[T]], ended: Callable[[_Child[T]], bool]) -> None:
    """Drive children until all ended, or `ended` says so of one; whoever is left then is cancelled."""
    by_handle: dict[Handle, _Child[T]] = {}

    async def settled(child: _Child[T]) -> bool:
        if child.done:
            await child.leave()
            return ended(child)
        by_handle.update(dict.fromkeys(child.handles, child))
        return False

    try:
        for child in children:
            await child.step()
            if await settled(child):
                return
        while waiting := [handle for child in children for handle in child.handles]:
            event: Event = await Next(run.wait_key(), tuple(waiting))
            child = by_handle[event.handle]
            await child.take(event)
            if await settled(child):
                return
    except Cancelled:
        for child in children:
            child.end()
            child.open.clear()  # whoever left this run cancels what it has under way
        raise
    finally:
        for child in children:
            with suppress(Cut):  # after the end of the whole run nothing can be, or need be, cancelled
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
