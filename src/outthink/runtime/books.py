"""The books of one run: its scopes and deadlines, what was spent, and what was offered on the way.

Two accounts are kept. The total is entered as attempts are settled and is what a user is told; what a strategy can read
stands as of the last outcome delivered to it, so that it doesn't depend on the schedule. Who may spend is the ledger's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from outthink.core.budget import NOTHING, Budget, Usage
from outthink.core.errors import BudgetCut, InternalError
from outthink.core.selection import Offer, Selection
from outthink.runtime.ledger import Ledger, Scope
from outthink.runtime.recorded import Recorded

Path = tuple[int, ...]


class Books:
    """One run's. `recorded`: what a journal holds of it, all of which is charged before anything new is asked for."""

    def __init__(self, budget: Budget, around: Scope, ledger: Ledger, recorded: Recorded | None = None) -> None:
        self._own = Scope("problem", budget, around)
        self._scopes: dict[Path, Scope] = {(): self._own}
        self._ledger, self._recorded = ledger, recorded
        self._delivered: dict[Path, Usage] = {}
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock() - (recorded.wall_seconds if recorded is not None else 0.0)
        self.total = NOTHING
        self.offers: list[Offer] = []
        self.heard: Callable[[Selection], None] | None = None  # somebody who wants to hear of offers
        _limit_time(self._own, self._started)
        if recorded is not None:
            self.total = recorded.usage()
            ledger.charge(self._own, self.total)

    @property
    def wall_seconds(self) -> float:
        """Seconds since the run began, those before a resume included."""
        return self._clock() - self._started

    @property
    def overrun(self) -> int:
        """Tokens that servers took beyond what this run's bounded budget granted."""
        return self._own.overrun

    # What a strategy may read and do

    def left(self, path: Path) -> Budget:
        """What the run's own scopes have left, as of the last outcome delivered."""
        left: dict[str, float] = {}
        for scope in self.scope_of(path).chain:
            if scope is self._own.parent:
                break
            spent = self._delivered.get(scope.path or (), NOTHING)
            known = {"tokens": spent.most_tokens, "seconds": self.wall_seconds, "usd": spent.usd or 0.0}
            for name, limit in scope.budget.limits().items():
                used = known[name] if name in known else getattr(spent, name) + getattr(spent, f"unknown_{name}", 0)
                left[name] = min(left.get(name, limit), max(0, limit - used))
        return Budget(**left)  # type: ignore[arg-type]  # the names and kinds are a budget's own

    def spent(self, path: Path) -> Usage:
        """What a child run cost, as of the last outcome delivered."""
        return self._delivered.get(path, NOTHING)

    def open_scope(self, path: Path, budget: Budget) -> None:
        """Give a child run a budget inside its parent's."""
        if budget.limits():
            scope = Scope(f"child run {'.'.join(map(str, path))}", budget, self.scope_of(path[:-1]), path=path)
            self._scopes[path] = scope
            _limit_time(scope, asyncio.get_running_loop().time())
            if self._recorded is not None:
                self._ledger.charge(scope, self._recorded.usage(path))

    def offer(self, path: Path, selection: Selection, spent: Usage | None) -> None:
        """Keep an answer on the way; a child's offers are its parent's business."""
        if not path:
            self.offers.append(Offer(selection, spent if spent is not None else self.spent(())))
            if self.heard is not None:
                self.heard(selection)

    # What the runtime enters and asks

    def scope_of(self, path: Path) -> Scope:
        """The scope of a child run: its own, or the nearest around it."""
        while path not in self._scopes:
            path = path[:-1]
        return self._scopes[path]

    def spend(self, usage: Usage) -> None:
        """Enter an attempt into the total; the ledger has it already."""
        self.total = self.total + usage

    def deliver(self, path: Path, usage: Usage) -> None:
        """Enter what an outcome cost, now that a strategy is told of it: for its run and those around it."""
        for end in range(len(path) + 1):
            self._delivered[path[:end]] = self._delivered.get(path[:end], NOTHING) + usage

    def deadline(self, scope: Scope) -> float | None:
        """The earliest deadline of a scope and those around it, on the loop's clock."""
        return min((each.deadline for each in scope.chain if each.deadline is not None), default=None)

    def out_of_time(self, scope: Scope) -> BudgetCut:
        """The cut that says whose seconds ran out."""
        limited = [each for each in scope.chain if each.deadline is not None]
        if not limited:
            raise InternalError("a deadline passed that no scope has")
        # Not compared with the clock: a loop fires its timers up to its clock's resolution early.
        first = min(limited, key=lambda each: each.deadline or 0.0)
        return BudgetCut(first.name, "seconds", f"{first.budget.seconds:g} s", path=first.path)

    @asynccontextmanager
    async def timed(self, path: Path) -> AsyncIterator[None]:
        """Raise BudgetCut at the deadline of a child run."""
        scope = self.scope_of(path)
        limit = asyncio.timeout_at(self.deadline(scope))
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise self.out_of_time(scope) from None
            raise


def _limit_time(scope: Scope, started: float) -> None:
    if scope.budget.seconds is not None:
        scope.deadline = started + scope.budget.seconds
