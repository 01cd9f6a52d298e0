"""What was started and not yet awaited: its task, its events, and the rule that runs beside a stream.

At most one partial sample waits per stream: a newer one replaces it, so a slow strategy never makes buffers grow, and a
stream never waits for a strategy (which may itself wait for the stream's refund).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from outthink.core.backend import Delta
from outthink.core.capability import Capabilities
from outthink.core.errors import Cut
from outthink.core.operation import Event, EventKind, Generate, Handle, Partial, Start
from outthink.core.sample import Finish, Sample
from outthink.runtime.listening import Listener
from outthink.runtime.places import Places
from outthink.runtime.rows import clean

LEAVING_SECONDS = 1.0
"""How long a stream that is left may take to say what it had: then its request is simply closed."""


class Stream:
    """One started operation."""

    def __init__(self, start: Start, wake: Callable[[Stream], None], *, was_left: bool = False) -> None:
        self.start, self.handle = start, Handle(start.key)
        self.task: asyncio.Task[None] | None = None
        self.leaving = False
        self.was_left = was_left
        self.places: Places | None = None
        self.counts = False  # its backend's pieces say how many tokens came
        self.exact = False  # no token came that `tokens` doesn't count
        self.patience = LEAVING_SECONDS
        self.text = ""
        self.tokens = 0
        self.confidences: list[float] = []
        self.partial: Event | None = None
        self.final: Event | None = None
        self.left_sample: Sample | None = None
        self.arrival = 0
        self.hear: Callable[[Delta], None] | None = None  # somebody beside the run
        self._told = 0
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    @property
    def watched(self) -> bool:
        """Whether partial samples were asked for."""
        return self.start.every is not None or self.start.rule is not None

    def digest(self) -> str:
        """Of what was asked for; what is watched on the way is part of it, since it decides what is left."""
        return self.start.digest() if self.watched else self.start.operation.digest()

    @property
    def left(self) -> bool:
        """Whether the strategy left it when something had arrived: that is a sample."""
        return self.leaving and bool(self.tokens or self.text)

    @property
    def known(self) -> int | None:
        """How many tokens came; None where nobody counted them."""
        return self.tokens if self.exact else None

    def restart(self) -> None:
        """A new attempt begins: nothing of an earlier one is part of the sample."""
        self.text, self.tokens, self.exact, self._told, self.partial = "", 0, self.counts, 0, None
        self.confidences = []

    def watch(self, delta: Delta) -> bool:
        """Called by the backend with each piece, on the loop's thread or a thread of its own; True asks it to stop."""
        self.text += clean(delta.text)
        self.tokens += delta.tokens
        self.exact = delta.exact
        if self.hear is not None:
            if threading.get_ident() == self._thread:
                self.hear(delta)
            else:
                self._loop.call_soon_threadsafe(self.hear, delta)
        every, rule = self.start.every, self.start.rule
        if rule is not None and delta.logprobs is not None:
            self.confidences += delta.logprobs.confidences()
        due = every is not None and self.tokens - self._told >= every
        if due or (rule is not None and rule(Partial(self.text, self.tokens, self.confidences))):
            self._told = self.tokens
            partial = Sample(self.start.key.sample(0), self.text, Finish.CANCELLED, self.tokens)
            event = Event(self.handle, EventKind.PARTIAL, partial)
            if threading.get_ident() == self._thread:
                self._post(event)
            else:
                self._loop.call_soon_threadsafe(self._post, event)
        return self.leaving

    def finish(self, value: Any = None, error: Exception | Cut | None = None) -> None:
        """The operation ended; nothing comes after this."""
        self.final = Event(self.handle, EventKind.DONE if error is None else EventKind.FAILED, value, error)
        self._wake(self)

    def take(self) -> Event | None:
        """The next undelivered event, if there is one: a waiting partial sample goes before the end."""
        if self.partial is not None:
            event, self.partial = self.partial, None
            return event
        return self.final

    async def leave(self) -> None:
        """End it soon: a stream that has begun says what it had, anything else is cancelled at once."""
        task = self.task
        if task is None or task.done():
            return
        self.leaving = True
        if self.tokens and self.patience:
            await asyncio.wait([task], timeout=self.patience)
        if not task.done():
            task.cancel()
            await asyncio.wait([task])

    def _post(self, event: Event) -> None:
        if self.final is None:
            self.partial = event
            self._wake(self)


def heard(stream: Stream | None, operation: Generate, listener: Listener | None, can: Capabilities) -> Stream | None:
    """The stream of an operation of one sample: the strategy's own, or one that only a listener wants."""
    if operation.n != 1:
        return None
    if listener is not None and listener.streams and can.stream:
        if stream is None:
            stream = Stream(Start(operation.key, operation), lambda _: None)
            stream.counts = can.counts
        stream.hear = lambda delta: listener.piece(operation, delta)
    return stream
