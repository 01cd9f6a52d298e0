"""One server that answers for a model: its backend, its limiter, how it does, and what it can do next to its siblings.

Which upstream a call goes to is `upstreams`'.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from outthink.core.backend import Backend, Request
from outthink.core.capability import Capabilities
from outthink.core.errors import BackendError
from outthink.gateway.breaker import Breaker
from outthink.gateway.config import Health
from outthink.gateway.model import AT_ONCE
from outthink.runtime.limiter import Limiter


class Upstream:
    """One server: its backend, which is made anew where opening failed, and how it does.

    name:        in metrics and logs
    make:        makes its backend, not yet opened
    weight:      its share of the load
    concurrency: calls at once, or None to find what it takes
    timeout:     seconds after which a call counts as lost
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Backend],
        *,
        weight: float = 1.0,
        concurrency: int | None = None,
        timeout: float = 600.0,
        health: Health | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.name, self.make, self.weight, self.timeout = name, make, weight, timeout
        self.backend = make()
        self.opened = False
        self.reachable = True  # as far as health checks know
        self.missed = 0  # checks in a row
        self.answered = False  # a call, since the last check
        self.concurrency = concurrency
        self.limiter = Limiter(concurrency, start=AT_ONCE)
        self.breaker = Breaker(health or Health(), now or (lambda: asyncio.get_running_loop().time()))

    @property
    def ready(self) -> bool:
        """Whether a call may be made now."""
        return self.opened and self.reachable and self.breaker.allows

    @property
    def load(self) -> float:
        """Calls under way or waiting, in units of its weight."""
        return (self.limiter.in_flight + self.limiter.waiting) / self.weight

    async def open(self) -> None:
        """Open the backend, a new one after a failure. Raises BackendError; UsageError where that can't be mended by waiting."""
        try:
            await self.backend.open()
        except BaseException as error:
            await self.backend.close()
            self.backend = self.make()
            if isinstance(error, BackendError):
                self.breaker.fail(str(error), at_once=True)
            raise
        self.limiter = Limiter(self.concurrency or self.backend.capabilities.slots, start=AT_ONCE)
        self.opened = self.reachable = True

    def serves(self, request: Request) -> bool:
        """Whether it can do what this request asks; those of a pool can differ once one of them was opened late."""
        can, need = self.backend.capabilities, request.logprobs
        kind = can.chat if request.prompt.text is None else can.raw
        return kind and (need is None or can.logprobs >= need.top) and (can.prefix or not request.prompt.prefix)


def common(all_: Sequence[Capabilities]) -> Capabilities:
    """What every one of several backends can do. Seeds don't repeat across servers: another one computes in another order."""

    def every(name: str) -> bool:
        return all(getattr(each, name) for each in all_)

    contexts = [each.context for each in all_ if each.context is not None]
    slots = [each.slots for each in all_]
    first = all_[0]
    return Capabilities(
        chat=every("chat"),
        raw=every("raw"),
        n=min(each.n for each in all_),
        seed=first.seed and len(all_) == 1,
        logprobs=min(each.logprobs for each in all_),
        prefix=every("prefix"),
        stop=every("stop"),
        stream=every("stream"),
        cancel=every("cancel"),
        exact_cancel=every("exact_cancel"),
        prompt_logprobs=every("prompt_logprobs"),
        token_ids=every("token_ids"),
        guided=every("guided"),
        rewards=every("rewards"),
        slots=None if None in slots else sum(number or 0 for number in slots),
        context=min(contexts, default=None),
        vocabulary=first.vocabulary if all(each.vocabulary == first.vocabulary for each in all_) else 0,
        thinking=first.thinking if all(each.thinking == first.thinking for each in all_) else None,
        emulated=tuple(dict.fromkeys(name for each in all_ for name in each.emulated)),
    )
