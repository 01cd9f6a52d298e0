"""How many requests may be at one endpoint at once, and who goes next.

One limiter belongs to one endpoint and is shared by all runs: the lowest priority number (the oldest run) goes first,
equals go in order of arrival. Either the limit is fixed, or it is found: see `Search`. Retries, budgets and what a
request is must not live here; asyncio only, no thread.

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

__all__ = ["Limiter", "Permit", "Search"]

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
        self.search = Search(min(start, most), most) if concurrency is None else None
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
            try:
                await turn
            except asyncio.CancelledError:
                if turn.cancelled():
                    self.waiting -= 1
                    self._forget_cancelled()
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
        while self.waiting and self.in_flight < self.limit:
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


class Search:
    """Finds the smallest limit that keeps an endpoint saturated. Sans-IO: told what happened, it says the `limit`.

    Throughput at a limit L is L times the speed of one slot (work over time, summed over calls that began under L and
    ended while all L slots were in use). Sums of a ratio, so that long and short generations weigh by their time and the
    edges of a window don't matter.

    First the limit doubles while that multiplies throughput by GAIN or more, and goes back one step when the server
    refuses. Then it tries one neighbour at a time, above and below in turn, from a base: a neighbour above replaces the
    base where throughput rises by at least a third of what the added slots could give, one below where it falls by less
    than that. A failed trial halves the next step and lengthens the rest until the next one. A refusal at the base itself
    shrinks it to SHRINK of itself, once for all calls begun under the same limit.
    """

    GAIN = 1.4
    SHRINK = 0.8
    LONGEST_REST = 16
    SMALLEST_WINDOW = 16

    def __init__(self, start: int, most: int) -> None:
        self.limit = start
        self.epoch = 0  # grows with every change of the limit
        self._most = most
        self._base = start  # the limit that trials are compared with
        self._rate = 0.0  # throughput at the base; 0 where it isn't known
        self._doubling = True
        self._proven = start  # the greatest limit that served a whole window without a refusal
        self._upward = True  # the direction of the next trial
        self._step = 0.25
        self._rest = 0  # windows at the base before the next trial
        self._patience = 1
        self._clear_window()

    def succeeded(self, epoch: int, seconds: float, work: float) -> None:
        """A call begun in `epoch` was answered, and the limit was fully used."""
        if epoch != self.epoch:
            return
        self._calls += 1
        self._work += work
        self._time += seconds
        factor = 1 if self._doubling else 2
        if self._calls >= max(self.limit * factor, self.SMALLEST_WINDOW // (2 if self._doubling else 1)):
            rate = self.limit * self._work / self._time if self._time > 0 else float("inf")
            self._proven = max(self._proven, self.limit)
            self._clear_window()
            (self._doubled if self._doubling else self._tried)(rate)

    def overloaded(self, epoch: int) -> None:
        """A call begun in `epoch` was refused, or timed out."""
        if epoch != self.epoch:
            return  # the limit has changed since: this is old news
        if self._doubling and self._rate:
            self._doubling = False
            self._move(self._base)
        elif not self._doubling and self.limit > self._base:
            self._fail()
        else:
            self._base = max(1, int(self.limit * self.SHRINK))
            self._rate = 0.0
            self._doubling = self._base * 2 <= self._proven  # far below what once worked: come back fast
            self._patience = 1
            self._rest = 0
            self._move(self._base)

    def _doubled(self, rate: float) -> None:
        if self._rate and rate < self.GAIN * self._rate:
            self._doubling = False
            if rate > (1 + (self.GAIN - 1) / 2) * self._rate:
                self._base, self._rate = self.limit, rate
            self._move(self._base)
            return
        self._base, self._rate = self.limit, rate
        if self.limit >= self._most:
            self._doubling = False
        self._move(min(2 * self.limit, self._most))

    def _tried(self, rate: float) -> None:
        if self.limit == self._base:
            self._rate = 0.5 * (self._rate + rate) if self._rate else rate
            self._rest -= 1
            if self._rest < 0:
                self._try()
            return
        change = self.limit / self._base - 1
        if rate > (1 + change / 3) * self._rate:
            self._base, self._rate = self.limit, rate
            self._step = min(2 * self._step, 0.25)
            self._patience = 1
            self._try()
        else:
            self._fail()

    def _try(self) -> None:
        step = max(1, int(self._base * self._step))
        limit = min(self._base + step, self._most) if self._upward else max(self._base - step, 1)
        if limit == self._base:
            self._upward = not self._upward
        self._move(limit)

    def _fail(self) -> None:
        self._upward = not self._upward
        self._step = max(self._step / 2, 0.03)
        self._patience = min(2 * self._patience, self.LONGEST_REST)
        self._rest = self._patience
        self._move(self._base)

    def _move(self, limit: int) -> None:
        if limit != self.limit:
            self.limit = limit
            self.epoch += 1
        self._clear_window()

    def _clear_window(self) -> None:
        self._calls = 0
        self._work = 0.0
        self._time = 0.0
