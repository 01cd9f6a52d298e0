"""Looks after upstreams that nobody is calling: opens those that couldn't be reached, and finds out which are gone or back.

A check costs no tokens (GET /models). An upstream that answered a call since the last check needs none.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from outthink.backends.openai import OpenAIBackend
from outthink.backends.rewards import RewardBackend
from outthink.core.errors import BackendError, OutthinkError, Permanent
from outthink.gateway.config import Health
from outthink.gateway.upstream import Upstream
from outthink.gateway.upstreams import UpstreamPool

Told = Callable[[str, str, bool, str], None]
"""Told of each change: public model, upstream, whether it can be reached, and why not."""


async def watch(pool: UpstreamPool, told: Told = lambda *_: None) -> None:
    """Check all upstreams of a pool for ever."""
    while True:
        # Several gateways that were started together must not check together for ever.
        await asyncio.sleep(pool.health.every_seconds * random.uniform(0.9, 1.1))
        await asyncio.gather(*(check(pool.public, each, pool.health, told) for each in pool.upstreams))


async def check(public: str, upstream: Upstream, health: Health, told: Told = lambda *_: None) -> None:
    """Check one upstream, and open it where it isn't. Never raises."""
    before, error = upstream.opened and upstream.reachable, await _failure(upstream, health)
    if error is None:
        upstream.missed, upstream.reachable = 0, True
        if not before:
            upstream.breaker.try_now()
    else:
        upstream.missed += 1
        if upstream.missed >= health.failures:
            upstream.reachable = False
    now = upstream.opened and upstream.reachable
    if now != before:
        told(public, upstream.name, now, "" if error is None else str(error))


async def _failure(upstream: Upstream, health: Health) -> Exception | None:
    answered, upstream.answered = upstream.answered, False
    try:
        async with asyncio.timeout(health.timeout_seconds):
            if not upstream.opened:
                await upstream.open()
            elif isinstance(upstream.backend, OpenAIBackend | RewardBackend) and not answered:
                await _greet(upstream.backend, health.timeout_seconds)
    except TimeoutError:
        return BackendError(f"{upstream.name} didn't answer within {health.timeout_seconds:g} s")
    except (OutthinkError, OSError) as error:
        return error
    return None


async def _greet(backend: OpenAIBackend | RewardBackend, seconds: float) -> None:
    """Ask for the list of models; a server that has none answers too."""
    try:
        await backend.wire.get("/models", seconds)
    except Permanent as error:
        if error.status is None or error.status in (401, 403):
            raise
