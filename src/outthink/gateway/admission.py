"""Who is let in, and when: rate limits of keys, a bounded queue that is fair among them, and refusals that say when to come back.

Nothing here grows with load: what doesn't fit the queue is refused. How much a run may spend is the ledger's, by the scope of
its caller's day.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from outthink.gateway.config import Limits
from outthink.gateway.keys import Client
from outthink.gateway.rates import Rates
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Asked
from outthink.gateway.spending import Spending

LONGEST_ADVICE = 60.0
"""Seconds: most that a client is told to wait for the queue."""
_WEIGHT = 0.1  # of the latest request in the mean duration


class Admission:
    """The door; a form of `seams.Admission`.

    limits:  may be replaced at any time (a reload): `adopt`
    now:     a clock in seconds that never goes back
    waited:  told how long each request waited, in seconds
    """

    def __init__(
        self,
        limits: Limits,
        spending: Spending,
        *,
        now: Callable[[], float] | None = None,
        waited: Callable[[Asked, float], None] | None = None,
    ) -> None:
        self.limits, self.spending = limits, spending
        self.now = now or (lambda: asyncio.get_running_loop().time())
        self.rates = Rates(self.now)
        self.under_way = 0
        self.waiting = 0
        self.draining = False
        self._waited = waited or (lambda asked, seconds: None)
        self._of_key: dict[str, int] = {}
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._mean_seconds = 1.0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def place(self, asked: Asked) -> AsyncIterator[None]:
        """A place, at once or when it is this key's turn, held while the context lasts.

        Raises Refusal: 429 where a rate, a daily budget, the key's share or the queue is full, 503 when shutting down.
        """
        client = asked.caller
        assert isinstance(client, Client)
        self._check(client)
        self._of_key[client.name] = self._of_key.get(client.name, 0) + 1
        client.day.requests += 1
        self._idle.clear()
        try:
            arrived = self.now()
            if self.under_way < self.limits.at_once and not self.waiting:
                self.under_way += 1
            else:
                await self._turn(client.name)
            started = self.now()
            try:
                self._waited(asked, started - arrived)
                yield
            finally:
                self._mean_seconds += _WEIGHT * (self.now() - started - self._mean_seconds)
                self._end()
        finally:
            self._gone(client)

    async def idle(self) -> None:
        """Wait until nothing is under way or waiting."""
        await self._idle.wait()

    def adopt(self, limits: Limits) -> None:
        """Go on under other limits; who waits already stays, and more may begin at once."""
        self.limits = limits
        self._grant()

    def _check(self, client: Client) -> None:
        if self.draining:
            raise Refusal(503, "the gateway is shutting down; ask again in a moment", code="shutting_down", retry_after=1)
        if self.spending.unwritable:
            raise Refusal(503, "what keys spend can't be written down, so that nothing may be spent", code="unavailable")
        most = client.settings.at_once
        if most is not None and self._of_key.get(client.name, 0) >= most:
            message = f"key {client.name} has {most} requests under way, which is all it may have"
            raise Refusal(429, message, code="rate_limit_exceeded", retry_after=self._mean_seconds)
        self._check_budget(client)
        if self.under_way >= self.limits.at_once and self.waiting >= self.limits.queue:
            raise self._overloaded(f"{self.under_way} requests are under way and {self.waiting} wait, which is all that may")
        self.rates.take(client)  # last: a request that isn't let in for another reason doesn't count

    def _check_budget(self, client: Client) -> None:
        # What others have reserved and don't use comes back: only what is spent for good is held against it.
        spent, budget = client.day.spent, client.settings.daily_budget
        gone = [name for name, limit in budget.limits().items() if spent[name] >= limit]
        if gone:
            raise Refusal(
                429, f"key {client.name} has spent its daily budget of {budget}: no {gone[0].replace('_', ' ')} are left",
                code="insufficient_quota", retry_after=self.spending.seconds_to_midnight(), headers={"X-Should-Retry": "false"},
            )  # fmt: skip

    def _overloaded(self, message: str) -> Refusal:
        """With when a place in the queue is likely to be free."""
        wait = self._mean_seconds * (1 + self.waiting / self.limits.at_once)
        return Refusal(429, message, code="overloaded", retry_after=min(LONGEST_ADVICE, max(1.0, wait)))

    async def _turn(self, name: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(name, deque()).append(turn)
        self.waiting += 1
        try:
            async with asyncio.timeout(self.limits.queue_seconds):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._end()  # the place was granted before the cancellation arrived
            else:
                self._forget(name, turn)
            if isinstance(error, TimeoutError):
                raise self._overloaded(f"no place came free within {self.limits.queue_seconds:g} s") from None
            raise

    def _forget(self, name: str, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(name)
        if queue is not None and turn in queue:  # else `_grant` came upon it first
            self.waiting -= 1
            queue.remove(turn)
            if not queue:
                del self._queues[name]

    def _grant(self) -> None:
        """Let in who waits, one of each key in turn, so that no key can keep the others out."""
        while self._queues and self.under_way < self.limits.at_once:
            name, queue = next(iter(self._queues.items()))
            turn = queue.popleft()
            if queue:
                self._queues.move_to_end(name)
            else:
                del self._queues[name]
            self.waiting -= 1
            if not turn.done():  # whoever waited may have just left, and doesn't know it yet
                self.under_way += 1
                turn.set_result(None)

    def _end(self) -> None:
        self.under_way -= 1
        self._grant()

    def _gone(self, client: Client) -> None:
        client.day.requests -= 1
        self._of_key[client.name] -= 1
        if not self._of_key[client.name]:
            del self._of_key[client.name]
        if not self._of_key:
            self._idle.set()
