"""How many requests may be at one endpoint at once, and who goes next.

One limiter belongs to one endpoint and is shared by all runs: the lowest priority number (the oldest run) goes first,
equals go in order of arrival. Either the limit is fixed, or it is found: see `outthink.runtime.saturation`. Retries, budgets
and what a request is must not live here; asyncio only, no thread.

    permit = await limiter.acquire(run_ordinal)
    with permit:                      # leaving gives the slot back, whatever happened
        ...
        permit.succeed(tokens)        # or permit.overload(retry_after); saying nothing teaches nothing
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from types import TracebackType

from outthink.runtime.saturation import LimitSearch

__all__ = ["Limiter", "Permit"]

LONGEST_PAUSE = 300.0
"""Seconds: a server that asks for more is asked again sooner."""


class Permit:
    """One slot. Say how the call went at most once; giving back twice is harmless."""

    __slots__ = ("_limiter", "epoch", "started")

    def __init__(self, limiter: Limiter, started: float, epoch: int) -> None:
        self._limiter: Limiter | None = limiter
        self.started = started
        self.epoch = epoch

    def succeed(self, work: float = 1.0) -> None:
        """The call was answered; `work` is what throughput is counted in (completion tokens)."""
        if (limiter := self._limiter) is not None:
            limiter._succeeded(self, work)

    def overload(self, retry_after: float | None = None) -> None:
        """The server is overloaded (429, 503, connection refused, time-out); it asked for a pause of so many seconds."""
        if (limiter := self._limiter) is not None:
            limiter._overloaded(self, retry_after)

    def release(self) -> None:
        """Give the slot back."""
        if (limiter := self._limiter) is not None:
            self._limiter = None
            limiter._give_back()

    def __enter__(self) -> Permit:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()


class Limiter:
    """Slots of one endpoint.

    concurrency: a fixed limit, or None to find the server's
    start, most: where the search begins and ends
    now:         a clock in seconds; None: that of the running event loop

    Uncontended, `acquire` and `release` cost about a microsecond; with waiters, O(log waiters).
    """

    def __init__(
        self,
        concurrency: int | None = None,
        *,
        start: int = 8,
        most: int = 1024,
        now: Callable[[], float] | None = None,
    ) -> None:
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"concurrency is {concurrency} and must be at least 1")
        self.search = LimitSearch(min(start, most), most) if concurrency is None else None
        self.limit = self.search.limit if self.search is not None else concurrency or 1
        self.in_flight = 0
        self.waiting = 0
        self._now = now
        self._paused_until = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        # Entries of cancelled waiters stay until they surface, or until they are the majority.
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = count()
        self._fed: list[asyncio.Future[None]] = []

    async def acquire(self, priority: int = 0) -> Permit:
        """A slot, when it is this one's turn. Being cancelled while waiting takes nothing."""
        now = self._clock()
        if self.waiting or self.in_flight >= self.limit or now < self._paused_until:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._queue, (priority, next(self._arrivals), turn))
            self.waiting += 1
            if now < self._paused_until:  # a loop fires its timers a little early: the one that ends the pause may be gone
                self._arm()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.cancelled():
                    self.waiting -= 1
                    self._forget_cancelled()
                    self._grant()  # who asked since then stood behind this one
                    self._feed()
                else:
                    self._give_back()  # the slot was granted before the cancellation arrived
                raise
            now = self._clock()
        else:
            self.in_flight += 1
        return Permit(self, now, self.search.epoch if self.search is not None else 0)

    async def hungry(self) -> None:
        """Wait until fewer wait for a slot than there are slots: the moment to begin more work, so that queues stay short."""
        while self.waiting >= self.limit:
            fed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._fed.append(fed)
            await fed

    def pause(self, seconds: float) -> None:
        """Grant nothing for so many seconds (NaN and negative: no pause)."""
        if seconds > 0:
            self._paused_until = max(self._paused_until, self._clock() + min(seconds, LONGEST_PAUSE))
            self._arm()

    def _clock(self) -> float:
        if self._now is None:
            self._now = asyncio.get_running_loop().time
        return self._now()

    def _succeeded(self, permit: Permit, work: float) -> None:
        # Only calls that lived under a full limit say what the limit gives.
        if self.search is not None and self.in_flight >= self.limit:
            self.search.succeeded(permit.epoch, self._clock() - permit.started, work)
            self._adopt()

    def _overloaded(self, permit: Permit, retry_after: float | None) -> None:
        if self.search is not None:
            self.search.overloaded(permit.epoch)
            self._adopt()
        if retry_after is not None:
            self.pause(retry_after)

    def _adopt(self) -> None:
        assert self.search is not None
        grown = self.search.limit > self.limit
        self.limit = self.search.limit
        if grown:
            self._grant()

    def _give_back(self) -> None:
        self.in_flight -= 1
        if self.waiting:
            self._grant()

    def _grant(self) -> None:
        if self.waiting and self._clock() < self._paused_until:
            self._arm()
            return
        # A waiter that was cancelled in this very moment is still counted as waiting, and may be gone from the queue.
        while self._queue and self.in_flight < self.limit:
            turn = heapq.heappop(self._queue)[2]
            if not turn.done():
                self.waiting -= 1
                self.in_flight += 1
                turn.set_result(None)
        self._feed()

    def _feed(self) -> None:
        if self._fed and self.waiting < self.limit:
            fed, self._fed = self._fed, []
            for each in fed:
                if not each.done():
                    each.set_result(None)

    def _arm(self) -> None:
        if self._timer is None:
            delay = self._paused_until - self._clock()
            self._timer = asyncio.get_running_loop().call_later(delay, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._grant()

    def _forget_cancelled(self) -> None:
        if len(self._queue) > 2 * self.waiting + 64:
            self._queue = [entry for entry in self._queue if not entry[2].done()]
            heapq.heapify(self._queue)
