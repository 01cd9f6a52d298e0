"""What a gateway's state is now: for metrics and the page. It only looks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from outthink.gateway.breaker import State
from outthink.gateway.metrics import Gauge
from outthink.gateway.upstream import Upstream

if TYPE_CHECKING:
    from outthink.gateway.operation import Operation


def gauges(operation: Operation) -> Iterator[Gauge]:
    """What /metrics looks up."""
    admission, spending = operation.admission, operation.spending
    yield "requests_under_way", "Requests under way.", (), [((), admission.under_way)]
    yield "requests_waiting", "Requests in the queue.", (), [((), admission.waiting)]
    yield "log_lines_lost", "Log lines that found no room.", (), [((), operation.logs.lost)]
    yield "spending_unwritable", "1 where what keys spend can't be written: nobody is let in.", (), [((), spending.unwritable)]
    days = spending.days()
    spent = [((day.key, name), value) for day in days for name, value in day.spent.items() if value]
    yield "key_spent_today", "Spent by a key today, unknown spending included.", ("key", "dimension"), spent
    left = [((day.key, name), value) for day in days for name, value in day.left.items()]
    yield "key_left_today", "Left of a key's daily budget, less what is reserved.", ("key", "dimension"), left
    ups = [(name, each) for name, built in operation.built.items() for each in built.pool.upstreams]
    labels = ("model", "upstream")
    yield "upstream_healthy", "1 where the upstream is open and answers its checks.", labels, [
        ((model, each.name), each.opened and each.reachable) for model, each in ups
    ]  # fmt: skip
    yield "upstream_breaker", "1 for the state that the circuit breaker is in.", (*labels, "state"), [
        ((model, each.name, state), each.breaker.state is state) for model, each in ups for state in State
    ]  # fmt: skip
    yield "upstream_in_flight", "Calls under way.", labels, [((model, each.name), each.limiter.in_flight) for model, each in ups]
    yield (
        "upstream_limit",
        "Calls that it takes at once.",
        labels,
        [((model, each.name), each.limiter.limit) for model, each in ups],
    )


def state(operation: Operation) -> dict[str, Any]:
    """The same as JSON, for the page."""
    admission = operation.admission
    return {
        "under_way": admission.under_way,
        "waiting": admission.waiting,
        "limits": {"at_once": admission.limits.at_once, "queue": admission.limits.queue},
        "keys": [
            {"key": day.key, "day": day.date.isoformat(), "spent": day.spent, "left": day.left, "budget": str(day.scope.budget)}
            for day in operation.spending.days()
        ],
        "models": {
            name: [_upstream(each) for each in built.pool.upstreams] for name, built in operation.built.items()
        },
    }  # fmt: skip


def _upstream(upstream: Upstream) -> dict[str, Any]:
    return {
        "upstream": upstream.name,
        "healthy": upstream.opened and upstream.reachable,
        "breaker": upstream.breaker.state,
        "reason": upstream.breaker.reason,
        "in_flight": upstream.limiter.in_flight,
        "limit": upstream.limiter.limit,
        "weight": upstream.weight,
    }
