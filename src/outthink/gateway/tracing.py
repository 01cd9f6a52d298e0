"""OpenTelemetry traces with the GenAI conventions: a span for each request, operation and upstream call. No texts, ever.

    chat qwen                     server span: gen_ai.*, outthink.strategy, outthink.budget
    ├── generate                  what the strategy asked for, one span each
    │   ├── chat qwen/qwen3-8b    client span: one call of one upstream, failed ones included
    │   └── chat qwen/qwen3-8b
    └── score

Off without an endpoint: then nothing of this is imported or called. The library is the extra `otel`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from outthink.core.backend import Completion, Request
from outthink.core.errors import MissingExtra
from outthink.core.key import Key
from outthink.core.operation import Generate, Invoke, Operation, Score
from outthink.gateway.config import Tracing as Settings
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Asked, Ended
from outthink.gateway.upstream import Upstream
from outthink.gateway.upstreams import Ended as CallEnded
from outthink.runtime.listening import Listener

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

_operation: ContextVar[Span | None] = ContextVar("outthink_operation_span", default=None)
"""The operation that an attempt belongs to: set in the attempt's own task just before it leaves."""
_NAMES = {"chat": "chat", "responses": "chat", "completions": "text_completion"}


class Tracing:
    """Traces of a gateway; an observer of requests and, by `call`, of upstreams.

    hide:     takes secrets out of error messages
    exporter: where spans go instead of the configured endpoint

    Raises MissingExtra.
    """

    def __init__(self, settings: Settings, hide: Callable[[str], str], exporter: SpanExporter | None = None) -> None:
        try:
            from opentelemetry import trace
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            if exporter is None:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

                exporter = OTLPSpanExporter(endpoint=settings.endpoint)
        except ImportError as error:
            raise MissingExtra("tracing", "otel") from error
        self._trace, self._hide = trace, hide
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.share)), resource=Resource.create({"service.name": settings.service})
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("outthink.gateway")
        self._propagator = TraceContextTextMapPropagator()
        self._requests: dict[int, Span] = {}  # by the identity of what was asked: a client's id may come twice

    def close(self) -> None:
        """Send what waits. Blocks for seconds where the collector is gone."""
        self._provider.shutdown()

    # As an observer of requests

    def began(self, asked: Asked) -> Listener | None:
        """The span of a request, under the client's own where it sent one."""
        name = _NAMES.get(asked.protocol, asked.protocol)
        parent = {"traceparent": asked.trace} if asked.trace else {}
        span = self._tracer.start_span(
            f"{name} {asked.model.name}",
            context=self._propagator.extract(parent),
            kind=self._trace.SpanKind.SERVER,
            attributes=_request_attributes(asked, name),
        )
        if not span.is_recording():
            return None
        self._requests[id(asked)] = span
        return _Spans(self, asked, span)

    def ended(self, asked: Asked, ended: Ended) -> None:
        """Close it with what came of it."""
        span = self._requests.pop(id(asked), None)
        if span is None:
            return
        span.set_attribute("http.response.status_code", 499 if ended.left else ended.status)
        if ended.first_seconds is not None:
            span.set_attribute("outthink.first_byte_seconds", ended.first_seconds)
        if ended.result is not None:
            usage = ended.result.usage
            found: dict[str, Any] = {
                "gen_ai.usage.input_tokens": usage.prompt_tokens,
                "gen_ai.usage.output_tokens": usage.completion_tokens,
                "gen_ai.response.model": asked.model.name,
                "gen_ai.response.id": asked.id,
                "outthink.usage.calls": usage.calls,
                "outthink.usage.samples": usage.samples,
                "outthink.usage.unknown_tokens": usage.unknown_prompt_tokens + usage.unknown_completion_tokens,
                "outthink.stop": str(ended.result.stop),
            }
            span.set_attributes(found if usage.usd is None else {**found, "outthink.usage.usd": usage.usd})
        if ended.refusal is not None:
            self._failed(span, ended.refusal.code, str(ended.refusal))
        elif ended.left:
            self._failed(span, "client_left", "the client left")
        span.end()

    def refused(self, path: str, refusal: Refusal, request_id: str) -> None:
        """Nothing to trace: it never became a request."""

    # As an observer of upstreams

    def call(self, upstream: Upstream, request: Request) -> CallEnded | None:
        """The span of one call, where its request is traced."""
        parent = _operation.get()
        if parent is None:
            return None
        model = upstream.backend.name.rpartition("#")[2] or upstream.name
        name = "chat" if request.prompt.text is None else "text_completion"
        address = urlsplit(upstream.backend.name)
        sampling = request.sampling
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": name,
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": model,
            "gen_ai.request.temperature": sampling.temperature,
            "gen_ai.request.top_p": sampling.top_p,
            "gen_ai.request.max_tokens": sampling.max_tokens,
            "gen_ai.request.choice.count": len(request.seeds),
            "outthink.upstream": upstream.name,
        }
        if address.hostname:
            attributes |= {"server.address": address.hostname, **({"server.port": address.port} if address.port else {})}
        span = self._tracer.start_span(
            f"{name} {model}", self._trace.set_span_in_context(parent), kind=self._trace.SpanKind.CLIENT, attributes=attributes
        )

        def ended(completion: Completion | None, error: BaseException | None) -> None:
            if completion is not None:
                span.set_attribute("gen_ai.response.finish_reasons", [str(piece.finish) for piece in completion.pieces])
                for key, tokens in (("input", completion.prompt_tokens), ("output", completion.completion_tokens)):
                    if tokens is not None:
                        span.set_attribute(f"gen_ai.usage.{key}_tokens", tokens)
            if error is not None:
                self._failed(span, type(error).__name__, str(error))
            span.end()

        return ended

    def _failed(self, span: Span, kind: str, message: str) -> None:
        span.set_attribute("error.type", kind)
        span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, self._hide(message)[:500]))


class _Spans(Listener):
    """The operations of one traced request."""

    def __init__(self, tracing: Tracing, asked: Asked, request: Span) -> None:
        self._tracing, self._asked, self._request = tracing, asked, request
        self._open: dict[Key, Span] = {}

    def performing(self, operation: Operation) -> None:
        """A span for what does work; waiting for it is none."""
        if isinstance(operation, (Generate, Score, Invoke)):
            context = self._tracing._trace.set_span_in_context(self._request)
            attributes = {
                "outthink.operation": operation.kind,
                "outthink.key": str(operation.key),
                **_operation_attributes(operation),
            }
            self._open[operation.key] = self._tracing._tracer.start_span(operation.kind, context, attributes=attributes)

    def performed(self, operation: Operation, error: BaseException | None) -> None:
        """It ended."""
        span = self._open.pop(operation.key, None)
        if span is not None:
            if error is not None:
                self._tracing._failed(span, type(error).__name__, str(error))
            span.end()

    def sent(self, operation: Generate, index: int) -> None:
        """What leaves next in this task belongs to this operation."""
        _operation.set(self._open.get(operation.key, self._request))


def _request_attributes(asked: Asked, name: str) -> Mapping[str, Any]:
    sampling = asked.sampling
    return {
        "gen_ai.operation.name": name,
        "gen_ai.provider.name": "outthink",
        "gen_ai.request.model": asked.model.name,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.choice.count": asked.choices,
        "outthink.request": asked.id,
        "outthink.strategy": asked.strategy.name,
        "outthink.budget": str(asked.budget),
        "outthink.key": asked.caller.name,
        "outthink.stream": asked.stream,
    }


def _operation_attributes(operation: Generate | Score | Invoke) -> dict[str, Any]:
    match operation:
        case Generate():
            return {"outthink.role": operation.role, **({} if operation.n is None else {"outthink.samples": operation.n})}
        case Score():
            return {"outthink.role": operation.role, "outthink.samples": len(operation.samples)}
        case Invoke():
            return {"outthink.role": operation.role, "outthink.method": operation.method}
