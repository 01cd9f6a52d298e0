"""Traces: a span for each request, operation and call, under the client's own, with GenAI's names and nobody's words."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from outthink.gateway.config import Tracing as Settings
from outthink.gateway.tracing import Tracing
from outthink.testing.fake_server import FakeSettings
from tests.gateway.operating import SECRET, Running, running

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def traced(it: Running, share: float = 1.0) -> InMemorySpanExporter:
    """Give a running gateway traces that stay in memory."""
    exporter = InMemorySpanExporter()
    tracing = it.operation.tracing = Tracing(Settings(endpoint="memory", share=share), it.operation.hide, exporter)
    it.operation.gateway.observers = (*it.operation.gateway.observers, tracing)
    for built in it.operation.built.values():
        built.pool._observers.append(tracing.call)
    return exporter


async def told(it: Running, exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    """All spans, once every request has ended: that is a moment after its client has the answer."""
    assert it.operation.tracing is not None
    async with asyncio.timeout(30):
        while it.operation.tracing._requests or it.operation.gateway.under_way:  # noqa: ASYNC110  # somebody else's task
            await asyncio.sleep(0.005)
    it.operation.tracing._provider.force_flush()
    return list(exporter.get_finished_spans())


def of(spans: list[ReadableSpan], kind: SpanKind, name: str = "") -> list[ReadableSpan]:
    return [span for span in spans if span.kind is kind and span.name.startswith(name)]


async def test_a_request_is_a_tree_of_operations_and_calls(tmp_path: Path) -> None:
    async with running(tmp_path, FakeSettings(api_key=SECRET, faults={"server_error": 0.3}, fault_seed=1)) as it:
        exporter = traced(it)
        headers = {"Authorization": f"Bearer {it.keys['alice']}", "traceparent": PARENT, "x-request-id": "mine-1"}
        body: dict[str, Any] = {"model": "fake@majority:4", "messages": [{"role": "user", "content": "p0 PRIVATE-WORDS"}]}
        async with it.session.post(f"{it.base}/v1/chat/completions", json=body, headers=headers) as reply:
            usage = (await reply.json())["usage"]
        spans, calls = await told(it, exporter), it.servers[0].accounts.requests
    (server,) = of(spans, SpanKind.SERVER)
    assert server.name == "chat fake"
    assert server.parent is not None
    assert f"{server.parent.trace_id:032x}" == PARENT.split("-")[1]
    said = dict(server.attributes or {})
    assert (said["gen_ai.operation.name"], said["gen_ai.request.model"]) == ("chat", "fake")
    assert said["outthink.strategy"] == "majority"
    assert said["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
    assert said["http.response.status_code"] == 200
    operations = of(spans, SpanKind.INTERNAL)
    assert {span.name for span in operations} >= {"generate", "invoke"}
    assert all(span.parent is not None and span.parent.span_id == server.context.span_id for span in operations)
    (generate,) = of(spans, SpanKind.INTERNAL, "generate")
    clients = of(spans, SpanKind.CLIENT)
    assert len(clients) == calls
    assert all(span.parent is not None and span.parent.span_id == generate.context.span_id for span in clients)
    failed = [span for span in clients if span.status.status_code is StatusCode.ERROR]
    assert len(failed) == calls - 4
    assert all((span.attributes or {})["error.type"] == "Lost" for span in failed)
    assert all((span.attributes or {})["server.address"] == "127.0.0.1" for span in clients)
    everything = "".join(span.to_json() for span in spans)
    for words in ("PRIVATE-WORDS", SECRET, *it.keys.values()):
        assert words not in everything


async def test_refused_and_unsampled_requests_leave_nothing_open(tmp_path: Path) -> None:
    async with running(tmp_path, keys={"alice": "requests_per_minute = 1"}) as it:
        exporter = traced(it)
        assert [(await it.post())[0] for _ in range(3)] == [200, 429, 429]
        servers = of(await told(it, exporter), SpanKind.SERVER)
        failed = [(span.attributes or {}).get("error.type") for span in servers]
        assert failed == [None, "rate_limit_exceeded", "rate_limit_exceeded"]
        assert it.operation.tracing is not None
        assert not it.operation.tracing._requests
    async with running(tmp_path) as it:
        exporter = traced(it, share=0.0)
        assert (await it.post())[0] == 200
        assert not await told(it, exporter)
        assert it.operation.tracing is not None
        assert not it.operation.tracing._requests


def test_without_an_endpoint_nothing_of_it_is_loaded() -> None:
    program = "import sys, outthink.gateway.operation; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
