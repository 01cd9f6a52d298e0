"""Keeps in mind what the page shows of requests: those under way, the last that ended, and sums by key.

Figures and names of ours only: what a client or a model wrote is in the records, under their rules, and not here.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from outthink.core.budget import NOTHING, Usage
from outthink.core.operation import Generate
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Asked, Caller, Ended
from outthink.gateway.spending import COLUMNS
from outthink.runtime.listening import Listener

MOST_ENDED = 500
MOST_SHOWN = 200


@dataclass(slots=True)
class Seen:
    """One request. `state`: None while it is under way, then a `Stop`, "refused" or "left"."""

    asked: Asked
    began: float
    usage: Usage = NOTHING
    state: str | None = None
    reason: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class Sum:
    """What a key's requests came to."""

    requests: int = 0
    refused: int = 0
    usage: Usage = NOTHING


class Watch:
    """An observer of requests. now: a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._started = now, now()
        self._live: dict[str, Seen] = {}
        self._ended: deque[Seen] = deque(maxlen=MOST_ENDED)
        self._sums: dict[str, Sum] = {}
        self._callers: dict[str, Caller] = {}
        self._unknown = 0  # refused before anybody knew whose they were

    def began(self, asked: Asked) -> Listener:
        """Take note of a request, and hear what its run spends."""
        seen = self._live[asked.id] = Seen(asked, self._now())
        self._sums.setdefault(asked.caller.name, Sum()).requests += 1
        self._callers[asked.caller.name] = asked.caller
        return _Spending(seen, self._sums[asked.caller.name])

    def ended(self, asked: Asked, ended: Ended) -> None:
        """Move it to those that ended."""
        seen = self._live.pop(asked.id, None)
        if seen is None:
            return
        seen.seconds = ended.seconds
        if ended.refusal is not None:
            seen.state, seen.reason = "refused", f"{ended.status} {ended.refusal.code}"
            self._sums[asked.caller.name].refused += 1
        elif ended.result is not None:
            seen.state = str(ended.result.stop)
        else:
            seen.state = "left"
        self._ended.appendleft(seen)

    def refused(self, path: str, refusal: Refusal, request_id: str) -> None:
        """Count it."""
        self._unknown += 1

    def going(self, request: str) -> bool:
        """Whether a request is under way."""
        return request in self._live

    def told(self, caller: Caller, recorded: Callable[[Asked], bool]) -> dict[str, Any]:
        """What one caller may see: all of it for an operator, else its own. recorded: whether a request has a record."""

        def own(seen: Seen) -> bool:
            return caller.operator or seen.asked.caller.name == caller.name

        live = list(filter(own, self._live.values()))
        ended = itertools.islice(filter(own, self._ended), MOST_SHOWN)
        names = self._sums if caller.operator else [caller.name]
        sums = [self._sums.get(name, Sum()) for name in names]
        usage = sum((each.usage for each in sums), NOTHING)
        callers = {**self._callers, caller.name: caller} if caller.operator else {caller.name: caller}
        return {
            "live": [self._shown(seen, recorded) for seen in live[:MOST_SHOWN]],
            "live_in_all": len(live),
            "recent": [self._shown(seen, recorded) for seen in ended],
            "totals": {
                "requests": sum(each.requests for each in sums),
                "refused": sum(each.refused for each in sums) + (self._unknown if caller.operator else 0),
                "tokens": usage.tokens,
                "usd": usage.usd,
                "seconds": self._now() - self._started,
            },
            "budgets": _budgets(callers.values()),
            "owner": None if caller.operator else caller.name,
        }

    def _shown(self, seen: Seen, recorded: Callable[[Asked], bool]) -> dict[str, Any]:
        asked = seen.asked
        return {
            "name": asked.id,
            "title": asked.model.name,
            "strategy": asked.strategy.name,
            "key": asked.caller.name,
            "running": seen.state is None,
            "state": seen.state,
            "reason": seen.reason,
            "samples": seen.usage.samples,
            "tokens": seen.usage.tokens,
            "usd": seen.usage.usd,
            "seconds": self._now() - seen.began if seen.state is None else seen.seconds,
            "closed": not recorded(asked),
        }


class _Spending(Listener):
    def __init__(self, seen: Seen, total: Sum) -> None:
        self._seen, self._total = seen, total

    def spent(self, operation: Generate, usage: Usage) -> None:
        self._seen.usage = self._seen.usage + usage
        self._total.usage = self._total.usage + usage


def _budgets(callers: Iterable[Caller]) -> list[dict[str, Any]]:
    """What of each bounded key's own budget is spent."""
    return [
        {
            "name": caller.name,
            "limits": [
                {"dimension": name, "limit": limit, "spent": caller.scope.used[COLUMNS.index(name)]}
                for name, limit in limits.items()
            ],
        }
        for caller in callers
        # Not the scope's own `limits`: an unlimited key's count all the same.
        if (limits := {name: limit for name, limit in caller.scope.budget.limits().items() if name in COLUMNS})
    ]
