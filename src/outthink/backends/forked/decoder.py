"""The thread that owns a context: it takes samples in, lets all of them grow by a token at a time, and tells what came.

What a token costs is `memory`'s, what it says `growth`'s; the event loop must not live here.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from outthink.backends.forked.context import Context
from outthink.backends.forked.growth import Growth
from outthink.backends.forked.memory import Computed, Holder, Memory
from outthink.backends.forked.sampling import drawn, log_normalisers
from outthink.core.backend import Completion, Delta
from outthink.core.errors import InternalError, Lost, OutthinkError, Refused

__all__ = ["Decoder", "Job"]


class Job(Protocol):
    """A sample that somebody waits for. timeout: seconds it may take, or None."""

    growth: Growth
    timeout: float | None

    @property
    def left(self) -> bool:
        """Nobody does any more."""

    def tell(self, delta: Delta) -> None:
        """A piece has come; called on the decoder's thread."""


class _Live:
    __slots__ = ("deadline", "future", "holder", "job")

    def __init__(self, job: Job, future: Future[Completion], holder: Holder) -> None:
        self.job, self.future, self.holder = job, future, holder
        self.deadline = None if job.timeout is None else time.monotonic() + job.timeout


class Decoder:
    """A loaded model and its thread; loading blocks. Raises what `Context` raises.

    slots:   samples that grow at once; `context` tokens of each fit in any case
    kept:    cells that ended samples may still hold
    """

    def __init__(self, path: Path, *, slots: int, context: int, threads: int, kept: int, precise: bool) -> None:
        self._slots = slots
        self.context = Context(path, cells=slots * context + kept + slots, threads=threads, precise=precise)
        self._memory = Memory(self.context, live=slots, kept=slots * context + kept)
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Job, Future[Completion]]] = deque()
        self._live: list[_Live] = []
        self.closing = self._forgetting = False
        self._thread = threading.Thread(target=self._run, name="forked-decoder", daemon=True)
        self._thread.start()

    @property
    def computed(self) -> Computed:
        """Tokens asked for and computed so far."""
        found = self._memory.computed
        return Computed(found.asked, found.tokens, found.again)

    @property
    def live(self) -> int:
        """Samples that hold a slot."""
        return len(self._live)

    @property
    def held(self) -> int:
        """Cells in use, the ones of ended samples too."""
        return self._memory.size

    def submit(self, job: Job) -> Future[Completion]:
        """Let it grow once a slot is free. Raises Refused once `close` has begun."""
        future: Future[Completion] = Future()
        future.set_running_or_notify_cancel()  # who leaves says so by `left`
        with self._changed:
            if self.closing:
                raise Refused("the model is being closed")
            self._waiting.append((job, future))
            self._changed.notify()
        return future

    def forget(self) -> None:
        """Let go of what ended samples hold, before the next token."""
        with self._changed:
            self._forgetting = True
            self._changed.notify()

    def close(self) -> None:
        """Leave what still runs and free thread and model; blocks. Closing twice changes nothing."""
        with self._changed:
            self.closing = True
            self._changed.notify()
        self._thread.join()
        self.context.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._live or self.closing or self._forgetting)
                if self.closing:
                    break
            try:
                if self._forgetting:
                    self._forgetting = False
                    self._memory.forget()
                self._admit()
                self._leave()
                self._compute(self._draw())
            except OutthinkError as error:
                self._lose(error)
            except Exception as error:  # noqa: BLE001  # whoever waits must hear of it
                self._lose(InternalError(f"the decoder failed: {error!r}"))
        self._lose(Lost("the model was closed"))
        for _, future in self._waiting:
            future.set_exception(Refused("the model was closed before a slot was free"))

    def _admit(self) -> None:
        while self._waiting and len(self._live) < self._slots:
            job, future = self._waiting.popleft()
            if job.left:
                future.set_result(job.growth.completion())
                continue
            try:
                holder = self._memory.admit(job.growth.prompt, job.growth.limit)
            except Exception as error:  # told to who waits, and raised again
                future.set_exception(error)
                raise
            if holder is None:
                self._waiting.appendleft((job, future))
                return
            self._live.append(_Live(job, future, holder))

    def _leave(self) -> None:
        """Let go of those that nobody waits for, or that took too long."""
        now = time.monotonic()
        for each in [each for each in self._live if each.job.left]:
            self._end(each)
        for each in [each for each in self._live if each.deadline is not None and now > each.deadline]:
            self._end(each, Lost(f"the sample did not end within {each.job.timeout:g} s", **each.job.growth.known()))

    def _draw(self) -> list[_Live]:
        """The next token of all whose logits are known; returns those whose logits are not."""
        import numpy

        ready = [(each, row) for each in self._live if (row := self._memory.row(each.holder)) is not None]
        if not ready:
            return self._live
        growths = [each.job.growth for each, _ in ready]
        rows = numpy.stack([row for _, row in ready])
        normalisers = log_normalisers(rows)
        tokens = drawn(
            rows, [each.settings for each in growths], [each.uniform() for each in growths], [each.seen for each in growths]
        )
        for at, (each, _) in enumerate(ready):
            if not numpy.isfinite(normalisers[at]):
                self._end(each, Lost("the model gave logits that are no numbers", **each.job.growth.known()))
                continue
            each.job.tell(growths[at].add(tokens[at], rows[at], float(normalisers[at])))
            if growths[at].finish is not None:
                self._end(each)
            else:
                self._memory.step(each.holder, tokens[at])
        return [each for each in self._live if self._memory.row(each.holder) is None]

    def _compute(self, lacking: Iterable[_Live]) -> None:
        if holders := [each.holder for each in lacking]:
            self._memory.compute(holders)

    def _end(self, each: _Live, error: OutthinkError | None = None) -> None:
        self._live.remove(each)
        self._memory.release(each.holder)
        self._settle(each, error)

    def _lose(self, error: OutthinkError) -> None:
        """Everything that grows is lost with what it had."""
        lost, self._live = self._live, []
        self._memory.lose()
        for each in lost:
            known = each.job.growth.known()
            self._settle(each, Lost(str(error), **known) if isinstance(error, Lost) else error)

    @staticmethod
    def _settle(each: _Live, error: OutthinkError | None) -> None:
        each.job.growth.cached = each.holder.cached
        if error is None:
            each.future.set_result(each.job.growth.completion())
        else:
            each.future.set_exception(error)
