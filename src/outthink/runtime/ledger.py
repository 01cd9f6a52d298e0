"""Who may spend what, when: nested scopes, reservations before each attempt, refunds after it.

The rules. Every attempt reserves its prompt and its max_tokens in its scope and all scopes around it, before it is sent.
What doesn't fit waits for refunds, in key order; max_tokens is clipped only when nothing in the scope is in flight; what
can't fit any more is refused. What is known to be spent is charged; what may have been spent and can't be known stays
charged as unknown. So the known and unknown spending together never exceed a limit, unless a server exceeds what it was
granted: then that is counted as `overrun` and the scope issues nothing more.

Seconds are not kept here: a scope's deadline is the interpreter's. Nothing here knows what an operation is.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from dataclasses import dataclass
from operator import add, sub

from outthink.core.budget import Budget, Prices, Usage
from outthink.core.errors import BudgetCut

SAMPLES, CALLS, PROMPT, COMPLETION, TOKENS, USD = range(6)
_NAMES = ("samples", "calls", "prompt_tokens", "completion_tokens", "tokens", "usd")
_SLACK = 1e-9

Amounts = tuple[float, float, float, float, float, float]
_NOTHING: Amounts = (0, 0, 0, 0, 0, 0)
Priority = tuple[int, tuple[int, ...], int, int]
"""Run ordinal, path, operation, sample: smaller goes first."""
_NOBODY: Priority = (1 << 62, (), 0, 0)


class Scope:
    """One budget and what was spent of it.

    name: in words, for messages ("dataset", "problem", "child run 0.2")
    path: the child run it belongs to; None where it is a whole run's or wider
    """

    __slots__ = (
        "around",
        "bounded",
        "budget",
        "deadline",
        "in_flight",
        "limits",
        "name",
        "overrun",
        "parent",
        "path",
        "reserved",
        "used",
        "waiting",
    )

    def __init__(self, name: str, budget: Budget, parent: Scope | None = None, *, path: tuple[int, ...] | None = None) -> None:
        self.name, self.budget, self.parent, self.path = name, budget, parent, path
        limits = budget.limits()
        self.limits = [(i, limits[dimension]) for i, dimension in enumerate(_NAMES) if dimension in limits]
        self.used = [0.0] * 6
        self.reserved = [0.0] * 6
        self.deadline: float | None = None  # on the loop's clock; set by whoever knows when the scope began
        self.in_flight = 0
        self.overrun = 0
        self.waiting: list[tuple[Priority, int, _Waiter]] = []
        self.around: tuple[Scope, ...] = parent.chain if parent is not None else ()
        self.bounded = any(scope.limits for scope in self.chain)  # this scope or one around it limits more than time

    @property
    def chain(self) -> tuple[Scope, ...]:
        """This scope and those around it. Not kept: what refers to itself is only freed by a search for cycles."""
        return (self, *self.around)

    def first_waiting(self) -> Priority:
        """The priority of whoever is served next; that of nobody when nobody waits."""
        while self.waiting and self.waiting[0][2].future.done():
            heapq.heappop(self.waiting)
        return self.waiting[0][0] if self.waiting else _NOBODY

    def room(self, dimension: int, limit: float) -> float:
        """What of a limit is neither used nor reserved."""
        return limit - self.used[dimension] - self.reserved[dimension]

    def useful(self, requests: int, width: int) -> int:
        """How many of these requests for `width` samples each the samples that are still missing need; at least one.

        A request that waits to be repeated reserves nothing: without this, failures would let in ever more of them.
        """
        for scope in self.chain:
            for dimension, limit in scope.limits:
                if dimension == SAMPLES:
                    requests = min(requests, math.ceil((limit - scope.used[SAMPLES]) / width))
        return max(1, requests)


@dataclass(slots=True)
class Ask:
    """What one attempt wants: `n` samples of at most `max_tokens` completion tokens each, after a prompt of at most `prompt`."""

    n: int
    prompt: int
    max_tokens: int
    prices: Prices | None = None

    def amounts(self, max_tokens: int) -> Amounts:
        """What to reserve when each sample may have so many tokens."""
        completion = self.n * max_tokens
        usd = self.prices.usd(self.prompt, 0, completion) if self.prices is not None else 0.0
        return (self.n, 1, self.prompt, completion, self.prompt + completion, usd)


class Grant:
    """A reservation that was made. Settle it exactly once."""

    __slots__ = ("amounts", "ask", "max_tokens", "scope", "settled")

    def __init__(self, scope: Scope, ask: Ask, max_tokens: int, amounts: Amounts) -> None:
        self.scope, self.ask, self.max_tokens, self.amounts = scope, ask, max_tokens, amounts
        self.settled = False


class _Waiter:
    __slots__ = ("ask", "future", "scope")

    def __init__(self, scope: Scope, ask: Ask, future: asyncio.Future[Grant]) -> None:
        self.scope, self.ask, self.future = scope, ask, future


class Ledger:
    """The books of one session. All scopes that share a parent must be used from one event loop."""

    def __init__(self) -> None:
        self._arrivals = 0

    async def reserve(self, scope: Scope, ask: Ask, priority: Priority) -> Grant:
        """Reserve for one attempt, waiting for refunds in order of `priority`. Raises BudgetCut when it can't fit any more."""
        if not scope.bounded:
            return Grant(scope, ask, ask.max_tokens, _NOTHING)
        outcome = self._try(scope, ask, priority)
        if isinstance(outcome, Grant):
            return outcome
        waiter = _Waiter(scope, ask, asyncio.get_running_loop().create_future())
        self._wait(outcome, priority, waiter)
        try:
            return await waiter.future
        except _Refusal as refusal:
            raise refusal.cut from None
        except asyncio.CancelledError:
            if waiter.future.done() and not waiter.future.cancelled() and waiter.future.exception() is None:
                self.settle(waiter.future.result(), calls=0, samples=0)
            raise

    def settle(
        self,
        grant: Grant,
        *,
        samples: int,
        calls: int = 1,
        prompt: int = 0,
        cached: int = 0,
        completion: int = 0,
        unknown_prompt: int = 0,
        unknown_completion: int = 0,
    ) -> int:
        """Charge what an attempt really took and give the rest back.

        Returns its overrun: tokens beyond the grant.
        """
        if grant.settled or not grant.scope.bounded:
            return 0
        grant.settled = True
        prices = grant.ask.prices
        all_prompt, all_completion = prompt + unknown_prompt, completion + unknown_completion
        usd = prices.usd(all_prompt, cached, all_completion) if prices is not None else 0.0
        taken = (samples, calls, all_prompt, all_completion, all_prompt + all_completion, usd)
        overrun = max(0, completion - grant.ask.n * grant.max_tokens) + max(0, prompt - grant.ask.prompt)
        for scope in grant.scope.chain:
            scope.in_flight -= 1
            scope.overrun += overrun
            scope.used = list(map(add, scope.used, taken))
            scope.reserved = list(map(sub, scope.reserved, grant.amounts))
        for scope in grant.scope.chain:
            if scope.waiting:
                self._wake(scope)
        return overrun

    def charge(self, scope: Scope, usage: Usage) -> None:
        """Charge one scope, not those around it, what was spent before it was made: what a journal holds."""
        prompt = usage.prompt_tokens + usage.unknown_prompt_tokens
        completion = usage.completion_tokens + usage.unknown_completion_tokens
        spent = (usage.samples, usage.calls, prompt, completion, prompt + completion, usage.usd or 0.0)
        scope.used = list(map(add, scope.used, spent))

    def _try(self, scope: Scope, ask: Ask, priority: Priority, turn: Scope | None = None) -> Grant | Scope:
        """A grant, or the scope whose refunds must be waited for. Raises BudgetCut. `turn`: where it waited and is the first."""
        most, amounts = ask.max_tokens, ask.amounts(ask.max_tokens)
        blocker: Scope | None = None
        for each in scope.chain:
            if not each.limits:  # nobody waits there
                continue
            if each.overrun and any(i in (PROMPT, COMPLETION, TOKENS, USD) for i, _ in each.limits):
                raise _cut(each, TOKENS, f"the server took {each.overrun} tokens more than it was granted")
            queued = each is not turn and each.first_waiting() < priority
            short = [i for i, limit in each.limits if amounts[i] > each.room(i, limit) + _SLACK]
            if not short and not queued:
                continue
            if each.in_flight:
                blocker = blocker or each
                continue
            for i in short:
                fits = _tokens_that_fit(each, ask, i)
                if fits < 1:
                    raise _cut(each, i, wanted=amounts[i])
                most = min(most, fits)
            amounts = ask.amounts(most)
        if blocker is not None:
            return blocker
        for each in scope.chain:
            each.in_flight += 1
            each.reserved = list(map(add, each.reserved, amounts))
        return Grant(scope, ask, most, amounts)

    def _wait(self, scope: Scope, priority: Priority, waiter: _Waiter) -> None:
        self._arrivals += 1
        heapq.heappush(scope.waiting, (priority, self._arrivals, waiter))

    def _wake(self, scope: Scope) -> None:
        """Serve those who wait at this scope, in key order, until one must go on waiting here."""
        while scope.waiting:
            priority, _, waiter = heapq.heappop(scope.waiting)
            if waiter.future.done():
                continue
            try:
                outcome = self._try(waiter.scope, waiter.ask, priority, scope)
            except BudgetCut as cut:
                waiter.future.set_exception(_Refusal(cut))
                continue
            if isinstance(outcome, Grant):
                waiter.future.set_result(outcome)
                continue
            self._wait(outcome, priority, waiter)
            if outcome is scope:
                return


class _Refusal(Exception):
    """Carries a BudgetCut through a future, which can't hold every BaseException safely."""

    def __init__(self, cut: BudgetCut) -> None:
        super().__init__(str(cut))
        self.cut = cut


def _tokens_that_fit(scope: Scope, ask: Ask, dimension: int) -> int:
    """The largest max_tokens that fits one dimension, or 0 where no clipping helps."""
    limit = dict(scope.limits)[dimension]
    room = scope.room(dimension, limit)
    if dimension == COMPLETION:
        return int((room + _SLACK) // ask.n)
    if dimension == TOKENS:
        return int((room + _SLACK - ask.prompt) // ask.n)
    if dimension == USD and ask.prices is not None:
        left = room - ask.prices.usd(ask.prompt, 0, 0)
        each = ask.n * ask.prices.completion / 1e6
        return 0 if left < 0 else ask.max_tokens if each == 0 else int((left + _SLACK) / each)
    return 0  # samples, calls and prompts can't be clipped


def _cut(scope: Scope, dimension: int, detail: str = "", wanted: float = 0) -> BudgetCut:
    limits = dict(scope.limits)
    if not detail and dimension in limits:
        detail = f"{scope.used[dimension]:g} of {limits[dimension]:g} used"
        if scope.used[dimension] + wanted > limits[dimension] and not scope.used[dimension]:
            detail += f", and one attempt may take {wanted:g}"
    return BudgetCut(scope.name, _NAMES[dimension], detail, path=scope.path)
