"""Answers Start, Next and Cancel: what runs beside a strategy, which event it is told next, and how it is left.

Which of several ends first is a race, so each event is journalled as it is delivered; a resume delivers the same ones in
the same order. One started operation is `streams`'.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from outthink.core.errors import Cut, InternalError, JournalMismatch, OutthinkError
from outthink.core.key import Key
from outthink.core.operation import Cancel, Event, EventKind, Generate, Handle, Invoke, Next, Score, Start
from outthink.core.sample import Finish, Sample, Samples
from outthink.runtime.arrivals import Generated
from outthink.runtime.books import Books
from outthink.runtime.history import History
from outthink.runtime.places import Places
from outthink.runtime.streams import Stream


class Racer(Protocol):
    """What is known here of the run."""

    books: Books
    history: History

    def places(self, operation: Generate) -> Places: ...
    async def carry_out(self, operation: Generate | Score | Invoke, stream: Stream) -> Any: ...
    def deliver(self, path: tuple[int, ...], outcome: Any) -> Any: ...


class Races:
    """All that one run started and was not yet told the end of.

    raced: two or more competed for being told first, so the run may end otherwise next time
    """

    def __init__(self, run: Racer) -> None:
        self.run = run
        self.raced = False
        self._streams: dict[Key, Stream] = {}
        self._arrivals = itertools.count(1)
        self._event = asyncio.Event()

    def start(self, operation: Start) -> Handle:
        """Begin, and don't wait."""
        if operation.key in self._streams:
            raise InternalError(f"{operation.key} was started twice")
        begun = operation.operation
        found = self.run.history.outcome(begun)
        stream = Stream(operation, self._woken, was_left=found is not None and found.kind == "left")
        self._streams[operation.key] = stream
        if isinstance(begun, Generate):
            if self.run.history.before is not None:
                self.run.history.samples(begun.key, stream.digest())  # refused here: one that is left isn't asked what it met
            stream.places = self.run.places(begun)
        if isinstance(begun, Generate) or not stream.was_left:
            stream.task = asyncio.create_task(self._carry_out(stream))
        return stream.handle

    async def next(self, operation: Next) -> Event:
        """The event that the journal says came next, else the first one of any of the handles."""
        streams = [self._streams[handle.key] for handle in operation.handles if handle.key in self._streams]
        if not streams:
            raise InternalError(f"{operation.key} waits for nothing: its handles ended or were never started")
        self.raced = self.raced or len(streams) > 1
        found = self.run.history.outcome(operation)
        if found is not None:
            return await self._again(streams, found.value)
        live = [stream for stream in streams if not stream.was_left]
        async with self.run.books.timed(operation.key.path):
            while not (ready := [stream for stream in live if stream.arrival]):
                self._event.clear()
                await self._event.wait()
        stream = min(ready, key=lambda stream: stream.arrival)
        event = stream.take()
        assert event is not None  # its arrival says that there is one
        stream.arrival = next(self._arrivals) if event is not stream.final and stream.final is not None else 0
        value: dict[str, Any] = {"handle": str(event.handle.key), "kind": event.kind}
        if event.kind is EventKind.PARTIAL:
            value |= {"text": event.value.text, "tokens": event.value.tokens}
        self.run.history.add_outcome(operation.key, "event", operation.digest(), value)
        return self._delivered(stream, event)

    async def cancel(self, operation: Cancel) -> Event:
        """Leave one; harmless for one that ended."""
        stream = self._streams.get(operation.handle.key)
        return Event(operation.handle, EventKind.CANCELLED) if stream is None else await self._leave(stream)

    async def leave_all(self, *, record: bool) -> None:
        """The run is over. With `record` what was under way is final; without, a resume begins it again."""
        streams = list(self._streams.values())
        for stream in streams:
            stream.leaving = record  # all at once: while one says what it had, the others needn't go on
        try:
            for stream in streams if record else ():
                await self._leave(stream)
        finally:  # leaving may be cut short itself: a second Ctrl-C, a full disk
            tasks = [stream.task for stream in streams if stream.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._streams.clear()

    async def _carry_out(self, stream: Stream) -> None:
        try:
            stream.finish(await self.run.carry_out(stream.start.operation, stream))
        except (Exception, Cut) as error:  # noqa: BLE001  # whatever it is, the strategy is told: it may be waiting
            stream.finish(error=error)

    def _woken(self, stream: Stream) -> None:
        if not stream.arrival:
            stream.arrival = next(self._arrivals)
        self._event.set()

    async def _again(self, streams: Sequence[Stream], value: Any) -> Event:
        """Deliver a journalled event."""
        stream = next((stream for stream in streams if str(stream.handle.key) == value["handle"]), None)
        if stream is None or stream.task is None:
            raise JournalMismatch(f"the journal told of {value['handle']}, which the strategy doesn't wait for now", field="code")
        if value["kind"] == EventKind.PARTIAL:
            sample = Sample(stream.handle.key.sample(0), value["text"], Finish.CANCELLED, value["tokens"])
            return Event(stream.handle, EventKind.PARTIAL, sample)
        await asyncio.wait([stream.task])
        assert stream.final is not None  # its task ended
        return self._delivered(stream, stream.final)

    def _delivered(self, stream: Stream, event: Event) -> Event:
        if event.kind is not EventKind.PARTIAL:
            del self._streams[stream.handle.key]
        try:
            return replace(event, value=self.run.deliver(stream.handle.key.path, event.value))
        except (OutthinkError, Cut) as error:
            return Event(event.handle, EventKind.FAILED, error=error)

    async def _leave(self, stream: Stream) -> Event:
        """End a stream for good, and note that it was left: a resume doesn't pay for the rest of it."""
        key, operation = stream.handle.key, stream.start.operation
        if self.run.history.before is not None:
            await asyncio.sleep(0)  # what the journal holds of it comes first
        if stream.final is None and not stream.was_left:
            self.run.history.add_outcome(key, "left", operation.digest(), None)
        await stream.leave()
        stream.task = None  # what it was left by has it in its traceback
        self._streams.pop(key, None)
        sample = stream.left_sample
        if stream.final is not None and isinstance(stream.final.value, Generated):
            sample = next(iter(stream.final.value.samples), None)
        self.run.deliver(key.path, Generated(Samples((sample,))) if sample is not None else None)
        return Event(stream.handle, EventKind.CANCELLED, sample)
