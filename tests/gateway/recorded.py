"""Requests of every kind at a recording gateway over an upstream that says what the test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from outthink.gateway.config import Records
from outthink.gateway.records import Recorder
from tests.gateway.serving import Message, Upstream, calls, gateway_over, says, upstream_at

QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]
TURNS = [
    {"role": "system", "content": "Be short."},
    *QUESTION,
    {"role": "assistant", "content": "Which?"},
    {"role": "user", "content": [{"type": "text", "text": "The sum."}]},
]
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@dataclass(frozen=True)
class Kind:
    """A request's body beyond the usual, and what the upstream says in turn. status: of the reply."""

    body: Mapping[str, Any] = field(default_factory=dict)
    script: tuple[Message | int, ...] = (says("Answer: 42"),)
    status: int = 200


OSLO, OSLO_AGAIN = calls("weather", '{"city": "Oslo"}'), calls("weather", '{ "city":"Oslo" }')
KINDS = {
    "text": Kind(script=(says("Answer: 42"), says("so the answer is 42"), says("Answer: 41"))),
    "tools": Kind({"tools": TOOLS}, (OSLO, OSLO_AGAIN, calls("weather", '{"city": "Rome"}'))),
    "must": Kind({"tools": TOOLS, "tool_choice": "required"}, (OSLO, says("no"), says("no"))),
    "json": Kind({"response_format": {"type": "json_object"}}, (says('{"a": 1}'), says('{"a":1.0}'), says("no"))),
    "turns": Kind({"messages": TURNS}),
    "choices": Kind({"model": "up", "n": 2}, (says("one"), says("two"))),
    "ranked": Kind({"n": 2}, (says("Answer: 1"), says("Answer: 2"), says("Answer: 1"))),
    "stream": Kind({"model": "up", "stream": True, "logprobs": True, "top_logprobs": 2}, (says("one two three"),)),
    "math": Kind({"outthink": {"task": "math"}}, (says("\\boxed{1/2}"), says("\\boxed{0.5}"), says("\\boxed{2}"))),
    "own": Kind({"model": "up", "temperature": 0.2, "max_tokens": 20, "stop": ["\n"], "seed": 7}),
    "none": Kind({"response_format": {"type": "json_object"}}, (says("no"),), 502),
    "failed": Kind({}, (401,), 502),
}
FORMS = [name for name, kind in KINDS.items() if kind.status == 200]


@dataclass
class Recording:
    """A gateway that records into a folder. replies: bodies by request id, streams as text."""

    upstream: Upstream
    url: str
    base: str
    folder: Path
    session: aiohttp.ClientSession
    replies: dict[str, Any] = field(default_factory=dict)

    async def ask(self, name: str, headers: Mapping[str, str] | None = None, **body: Any) -> int:
        """One request under the id request-NAME; its status."""
        sent = {"model": "up@majority:3", "messages": QUESTION, "max_tokens": 64, **body}
        given = {"x-request-id": f"request-{name}", **(headers or {})}
        async with self.session.post(f"{self.base}/v1/chat/completions", json=sent, headers=given) as reply:
            self.replies[name] = await reply.text() if body.get("stream") else await reply.json()
            return reply.status

    def record(self, name: str) -> Path:
        """Of that request, once it ended."""
        [found] = self.folder.glob(f"*/request-{name}.db")
        return found


@contextlib.asynccontextmanager
async def recording(
    folder: Path, upstream: Upstream | None = None, *, seconds: float = 2.0, **settings: Any
) -> AsyncIterator[Recording]:
    """It runs while the context lasts; leaving writes the last records. settings: those of [records]."""
    upstream = upstream or Upstream()
    recorder = Recorder(Records(folder=folder / "records", **settings), seconds=seconds)
    async with (
        upstream_at(upstream) as url,
        gateway_over(url, records=recorder) as (_, base),
        aiohttp.ClientSession() as session,
    ):
        try:
            yield Recording(upstream, f"{url}#up", base, folder / "records", session)
        finally:
            await recorder.close()


async def ask_all(made: Recording, *names: str) -> None:
    """Ask these kinds (default: all), each in its turn, and wait until they are written."""
    for name in names or KINDS:
        kind = KINDS[name]
        made.upstream.script = kind.script if len(kind.script) > 1 else lambda body, at, kind=kind: kind.script[0]
        made.upstream.bodies.clear()
        assert await made.ask(name, **kind.body) == kind.status, made.replies[name]
    async with asyncio.timeout(60):
        while len(list(made.folder.rglob("request-*.db"))) < len(names or KINDS):  # noqa: ASYNC110  # a thread writes them
            await asyncio.sleep(0.01)
