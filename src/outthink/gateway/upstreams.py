"""The servers that answer for one public model, as one backend: weighted choice, failover, circuit breakers.

A call of the pool is one attempt at one upstream, so that every attempt is reserved, journalled and charged by the runtime
as any other. Failover is what comes after a failure: the error says "again at once" (`retry_after` 0) while there is another
upstream that this sample hasn't met. Retrying itself, budgets and the queue of requests must not live here; checks of idle
upstreams are `health`'s.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from outthink.core.backend import Completion, Delta, Identity, Request
from outthink.core.budget import Prices
from outthink.core.capability import Capabilities
from outthink.core.errors import BackendError, Permanent, Refused
from outthink.core.prompt import Prompt
from outthink.gateway.config import Health
from outthink.gateway.upstream import Upstream, common
from outthink.runtime.limiter import Permit

REMEMBERED = 4096
"""Samples whose failed upstreams are remembered."""
SHORTEST_WAIT = 0.05
"""Seconds between two looks for an upstream where all are out: a trial of somebody else's may be under way."""
UNLIMITED = 4096
"""Calls that a pool takes where no upstream's number is given: each finds its own."""

Ended = Callable[[Completion | None, BaseException | None], None]
Observer = Callable[[Upstream, Request], Ended | None]
"""Told of each call as it leaves; what it returns, if anything, is told of its end."""


class UpstreamPool:
    """The upstreams of one public model as one `Backend`.

    name:      of the public model, for messages
    prices:    of the model, whoever answers; None: those of the upstreams where they agree
    observers: see `Observer`
    rng:       draws upstreams
    """

    def __init__(
        self,
        public: str,
        upstreams: Sequence[Upstream],
        *,
        prices: Prices | None = None,
        health: Health | None = None,
        observers: Iterable[Observer] = (),
        rng: random.Random | None = None,
    ) -> None:
        self.public, self.upstreams, self.health = public, tuple(upstreams), health or Health()
        own = {upstream.backend.prices for upstream in upstreams}
        self.prices = prices or (own.pop() if len(own) == 1 else None)
        self._observers = list(observers)
        self._rng = rng or random.Random()
        self.unsent = 0  # attempts that met no upstream
        self._failed: OrderedDict[Identity, set[str]] = OrderedDict()

    @property
    def name(self) -> str:
        """Those of the upstreams."""
        return " | ".join(upstream.backend.name for upstream in self.upstreams)

    @property
    def capabilities(self) -> Capabilities:
        """What all of them can do."""
        opened = [each.backend.capabilities for each in self.upstreams if each.opened]
        return common(opened or [each.backend.capabilities for each in self.upstreams])

    @property
    def concurrency(self) -> int:
        """Calls at once that its endpoint should let through; who gets how many of them is decided here."""
        known = [each.concurrency or each.backend.capabilities.slots for each in self.upstreams]
        return sum(number or UNLIMITED for number in known)

    @property
    def ready(self) -> bool:
        """Whether any upstream takes calls."""
        return any(upstream.ready for upstream in self.upstreams)

    async def open(self) -> None:
        """Open all upstreams; those that can't be reached are tried again by the health checks.

        Raises UsageError where the configuration is wrong (no such model there, a missing extra).
        """
        outcomes = await asyncio.gather(*(each.open() for each in self.upstreams), return_exceptions=True)
        errors = [error for error in outcomes if isinstance(error, BaseException) and not isinstance(error, BackendError)]
        if errors:
            await self.close()
            raise errors[0]

    async def close(self) -> None:
        """Close all upstreams."""
        async with AsyncExitStack() as stack:  # one that can't be closed keeps no other open
            for upstream in self.upstreams:
                upstream.opened = False
                stack.push_async_callback(upstream.backend.close)

    def prompt_bound(self, prompt: Prompt) -> int:
        """The largest of all upstreams."""
        return max(upstream.backend.prompt_bound(prompt) for upstream in self.upstreams)

    async def complete(self, request: Request) -> Completion:
        """One attempt at one upstream; see `outthink.core.backend.Backend`."""
        upstream, permit = await self._taken(request)
        with permit:
            watched = _Watched(request.watch)
            limit = min(upstream.timeout, request.timeout or upstream.timeout)
            request = replace(request, timeout=limit, watch=watched if request.watch is not None else None)
            told = [ended for observer in self._observers if (ended := observer(upstream, request)) is not None]
            upstream.breaker.begin()
            try:
                completion = await upstream.backend.complete(request)
            except BaseException as error:
                for ended in told:
                    ended(None, error)
                if not isinstance(error, BackendError):
                    upstream.breaker.leave()
                    raise
                self._blame(upstream, error, permit)
                raise self._told(upstream, request, error, watched.seen) from None
            permit.succeed(max(1.0, float(completion.completion_tokens or 1)))
        upstream.breaker.succeed()
        upstream.answered = True
        if request.identity is not None:
            self._failed.pop(request.identity, None)
        for ended in told:
            ended(completion, None)
        return completion

    async def _taken(self, request: Request) -> tuple[Upstream, Permit]:
        """An upstream, and a place among its calls; where all are out, waits for one that may be back soon."""
        clock = asyncio.get_running_loop().time
        patient_until = clock() + self.health.patience_seconds
        while True:
            upstream = self._chosen(request)
            if upstream is not None:
                permit = await upstream.limiter.acquire()
                if upstream.ready:
                    return upstream, permit
                permit.release()  # it went out of service while this call waited for it
                continue
            wait = max(self.back_in(), SHORTEST_WAIT)
            if clock() + wait > patient_until:
                raise self._out(wait)
            await asyncio.sleep(wait)

    def _chosen(self, request: Request) -> Upstream | None:
        """Two drawn by weight, and the one of them with less to do: the load follows the weights and avoids the slow."""
        met = self._failed.get(request.identity, set()) if request.identity is not None else set()
        able = [each for each in self.upstreams if each.ready and each.serves(request)]
        if not able and not any(each.serves(request) or not each.opened for each in self.upstreams):
            able = [each for each in self.upstreams if each.ready]  # waiting mends nothing: its own refusal says why
        able = [each for each in able if each.name not in met] or able
        if len(able) < 2:
            return able[0] if able else None
        first, second = self._rng.choices(able, [each.weight for each in able], k=2)
        return second if second.load < first.load else first

    def _out(self, wait: float) -> Permanent:
        """Nobody can answer, nor will soon: nothing was sent, and it isn't tried again."""
        self.unsent += 1
        reasons = "; ".join(dict.fromkeys(f"{each.name}: {each.breaker.reason or 'can not be used'}" for each in self.upstreams))
        return Permanent(f"no upstream of {self.public} can be used now ({reasons})", status=503, retry_after=wait)

    def back_in(self) -> float:
        """Seconds until an upstream may be tried again; 0 where one can be now."""
        waits = [
            each.breaker.opens_in if each.opened and each.reachable else max(each.breaker.opens_in, self.health.every_seconds)
            for each in self.upstreams
        ]
        return 0.0 if self.ready else min(waits)

    def _blame(self, upstream: Upstream, error: BackendError, permit: Permit) -> None:
        """What an error says about the upstream, apart from the request that met it."""
        overloaded = error.overloaded if isinstance(error, Refused) else error.status in (503, 504)
        if error.retryable and (overloaded or error.retry_after is not None):
            permit.overload(error.retry_after)
        if isinstance(error, Permanent) and not error.hopeless:
            upstream.breaker.succeed()  # it is well: the request was wrong
        elif error.status == 429:
            upstream.breaker.leave()  # it is busy, not broken: its limiter slows down
        else:
            upstream.breaker.fail(str(error), at_once=isinstance(error, Permanent))

    def _told(self, upstream: Upstream, request: Request, error: BackendError, seen: bool) -> BackendError:
        """The error as the runtime should take it: with another upstream to go to, again at once."""
        if isinstance(error, Permanent) and not error.hopeless:
            return error
        if request.identity is not None:
            self._failed.setdefault(request.identity, set()).add(upstream.name)
            if len(self._failed) > REMEMBERED:
                self._failed.popitem(last=False)
        met = self._failed.get(request.identity, {upstream.name}) if request.identity is not None else {upstream.name}
        others = any(each.ready and each.name not in met and each.serves(request) for each in self.upstreams)
        if isinstance(error, Permanent):  # a bad key of one upstream is no reason to give up on all of them, nor for good
            return Refused(str(error), status=error.status, retry_after=0.0 if others else None)
        if others and not seen:
            error.retry_after = 0.0
        if isinstance(error, Refused):
            error.overloaded = False  # the upstream's own limiter has heard it
        return error


class _Watched:
    """Passes on what a stream brings, and knows whether that was any text."""

    def __init__(self, watch: Callable[[Delta], bool] | None) -> None:
        self._watch, self.seen = watch, False

    def __call__(self, delta: Delta) -> bool:
        assert self._watch is not None
        self.seen = self.seen or bool(delta.text)
        return self._watch(delta)
