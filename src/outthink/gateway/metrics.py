"""Prometheus metrics: what happened is counted as it happens, what is now is looked up when it is asked for.

Label values are names out of the configuration and the catalogue, never a client's words, so that their number is bounded.
The client library (the extra `serve`) is imported when metrics are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from outthink.core.backend import Completion, Request
from outthink.core.budget import Usage
from outthink.core.errors import BackendError, Lost, MissingExtra, Permanent
from outthink.core.operation import Generate
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Asked, Ended
from outthink.gateway.upstream import Upstream
from outthink.gateway.upstreams import Ended as CallEnded
from outthink.runtime.listening import Listener

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
KINDS = {
    "prompt": "prompt_tokens",
    "cached": "cached_tokens",
    "completion": "completion_tokens",
    "reasoning": "reasoning_tokens",
    "unknown_prompt": "unknown_prompt_tokens",
    "unknown_completion": "unknown_completion_tokens",
}
"""`prompt` includes `cached`, `completion` includes `reasoning`; unknown is what lost replies may have cost, at most."""

Gauge = tuple[str, str, tuple[str, ...], Iterable[tuple[tuple[str, ...], float]]]
"""Name, help, labels, and (label values, value) of what is looked up."""


class Metrics:
    """All metrics of a gateway; an observer of requests and, by `call`, of upstreams.

    now:   a clock in seconds
    state: gives the gauges whenever metrics are read
    """

    def __init__(self, now: Callable[[], float], state: Callable[[], Iterable[Gauge]] = lambda: ()) -> None:
        try:
            from prometheus_client import CollectorRegistry, Counter, Histogram
        except ImportError as error:
            raise MissingExtra("the gateway", "serve") from error
        self.registry = registry = CollectorRegistry(auto_describe=False)
        self._now, self._state = now, state

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"outthink_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"outthink_{name}", text, labels, registry=registry, buckets=SECONDS)

        asked = ("protocol", "model", "strategy")
        self._requests = counter(
            "requests", "Requests that were answered, by HTTP status; 499: the client left.", *asked, "status"
        )
        self._refused = counter("refused", "Requests that were turned away, by the code of their error.", "code")
        self._seconds = histogram("request_seconds", "From the whole request to the whole answer.", *asked)
        self._first = histogram("first_byte_seconds", "From the whole request to the first byte of text.", *asked)
        self._queue = histogram("queue_seconds", "Time in the queue before a request began.")
        self._tokens = counter("tokens", "Tokens spent, by kind; see the documentation.", "model", "strategy", "role", "kind")
        self._usd = counter("spend_usd", "Money spent, the most it can be.", "key", "model")
        self._stops = counter("runs", "Runs by why they ended.", "model", "strategy", "stop")
        self._calls = counter("upstream_calls", "Calls of upstreams, by how they ended.", "model", "upstream", "outcome")
        self._call_seconds = histogram("upstream_seconds", "Duration of answered calls.", "model", "upstream")
        self.reloads = counter("config_reloads", "Reloads of the configuration.", "outcome")
        self.records_dropped = counter("records_dropped", "Records that could not be kept.")
        registry.register(_Gauges(self))

    def text(self) -> bytes:
        """Everything in Prometheus's text format."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry)

    # As an observer of requests

    def began(self, asked: Asked) -> Listener:
        """Counts what each attempt cost as it is settled, so that nothing is lost where a client leaves."""
        return _Spent(self, asked)

    def ended(self, asked: Asked, ended: Ended) -> None:
        """Count it."""
        labels = (asked.protocol, asked.model.name, asked.strategy.name)
        self._requests.labels(*labels, "499" if ended.left else str(ended.status)).inc()
        self._seconds.labels(*labels).observe(ended.seconds)
        if ended.first_seconds is not None:
            self._first.labels(*labels).observe(ended.first_seconds)
        if ended.refusal is not None:
            self._refused.labels(ended.refusal.code).inc()
        if ended.result is not None:
            self._stops.labels(asked.model.name, asked.strategy.name, str(ended.result.stop)).inc()

    def refused(self, path: str, refusal: Refusal, request_id: str) -> None:
        """Count it."""
        self._refused.labels(refusal.code).inc()

    def waited(self, asked: Asked, seconds: float) -> None:
        """How long a request was in the queue."""
        self._queue.observe(seconds)

    def spent(self, asked: Asked, role: str, usage: Usage) -> None:
        """What an attempt cost."""
        model, strategy = asked.model.name, asked.strategy.name
        for kind, name in KINDS.items():
            if tokens := getattr(usage, name):
                self._tokens.labels(model, strategy, role, kind).inc(tokens)
        if usage.usd:
            self._usd.labels(asked.caller.name, model).inc(usage.usd)

    # As an observer of upstreams

    def call(self, model: str) -> Callable[[Upstream, Request], CallEnded]:
        """The observer of one model's pool."""

        def began(upstream: Upstream, request: Request) -> CallEnded:
            started = self._now()

            def ended(completion: Completion | None, error: BaseException | None) -> None:
                self._calls.labels(model, upstream.name, outcome_of(error)).inc()
                if completion is not None:
                    self._call_seconds.labels(model, upstream.name).observe(self._now() - started)

            return ended

        return began


def outcome_of(error: BaseException | None) -> str:
    """How a call ended, in a word."""
    match error:
        case None:
            return "ok"
        case Permanent():
            return "permanent"
        case Lost():
            return "lost"
        case BackendError():
            return "refused"
        case _:
            return "cancelled"


class _Spent(Listener):
    def __init__(self, metrics: Metrics, asked: Asked) -> None:
        self._metrics, self._asked = metrics, asked

    def spent(self, operation: Generate, usage: Usage) -> None:
        """An attempt was settled."""
        self._metrics.spent(self._asked, operation.role, usage)


class _Gauges:
    """Looks up what is now."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """One metric for each gauge."""
        from prometheus_client.metrics_core import GaugeMetricFamily

        for name, text, labels, values in self._metrics._state():
            family: Any = GaugeMetricFamily(f"outthink_{name}", text, labels=labels)
            for label_values, value in values:
                family.add_metric(label_values, value)
            yield family
