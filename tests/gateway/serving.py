"""A gateway over an upstream that says what the test wants, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from outthink.gateway.gateway import Gateway, opened
from outthink.gateway.server import listening
from outthink.runtime.ledger import Ledger

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "prompt_tokens_details": {"cached_tokens": 4}}
Message = dict[str, Any]


def says(text: str) -> Message:
    return {"role": "assistant", "content": text}


def calls(name: str, arguments: str, call_id: str = "call_1") -> Message:
    function = {"name": name, "arguments": arguments}
    return {"role": "assistant", "content": None, "tool_calls": [{"id": call_id, "type": "function", "function": function}]}


@dataclass
class Upstream:
    """An OpenAI-compatible server. `script`: the message for the n-th request, in turn; a number is an error status.

    bodies: of the requests;  left: requests whose client went away;  step: seconds between two pieces of a stream
    gate:   nobody is answered before it is set; of a stream the words before the `held`th are said all the same
    """

    script: Sequence[Message | int] | Callable[[dict[str, Any], int], Message | int] = field(default_factory=lambda: [says("hi")])
    step: float = 0.0
    delay: float = 0.0
    finish: str = "stop"
    bodies: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    in_flight: int = 0
    break_after: int | None = None
    gate: asyncio.Event | None = None
    held: int = 0

    def _message(self, body: dict[str, Any]) -> Message | int:
        self.bodies.append(body)
        at = len(self.bodies) - 1
        return self.script(body, at) if callable(self.script) else self.script[at % len(self.script)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        message = self._message(body)
        self.in_flight += 1
        try:
            await asyncio.sleep(self.delay)
            if isinstance(message, int):
                return web.json_response({"error": {"message": "the upstream says no"}}, status=message)
            return await (self._stream(request, body, message) if body.get("stream") else self._whole(body, message))
        except (asyncio.CancelledError, ConnectionError):
            self.left += 1
            raise
        finally:
            self.in_flight -= 1

    def _finish(self, message: Message) -> str:
        return "tool_calls" if message.get("tool_calls") else self.finish

    async def _opened(self) -> None:
        if self.gate is not None:
            await self.gate.wait()

    async def _whole(self, body: dict[str, Any], message: Message) -> web.StreamResponse:
        await self._opened()
        said = {"message": message} if "messages" in body else {"text": message["content"]}
        logprobs = {"content": [_logprob(word) for word in words(message)]} if body.get("logprobs") is True else None
        choice = {"index": 0, "finish_reason": self._finish(message), "logprobs": logprobs, **said}
        return web.json_response({"id": "up", "object": "x", "created": 1, "model": "up", "choices": [choice], "usage": USAGE})

    async def _stream(self, request: web.Request, body: dict[str, Any], message: Message) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def send(choices: list[Any], **more: Any) -> None:
            await response.write(b"data: " + json.dumps({"id": "up", "choices": choices, **more}).encode() + b"\n\n")

        chat = "messages" in body
        for sent, word in enumerate(words(message)):
            if self.break_after is not None and sent >= self.break_after:
                assert request.transport is not None
                request.transport.abort()
                return response
            if sent == self.held:
                await self._opened()
            await asyncio.sleep(self.step)
            logprobs = {"content": [_logprob(word)]} if body.get("logprobs") is True else None
            piece = {"delta": {"content": word}} if chat else {"text": word}
            await send([{"index": 0, "finish_reason": None, "logprobs": logprobs, **piece}])
        for at, call in enumerate(message.get("tool_calls") or ()):
            head = {
                "index": at,
                "id": call["id"],
                "type": "function",
                "function": {"name": call["function"]["name"], "arguments": ""},
            }
            await send([{"index": 0, "delta": {"tool_calls": [head]}, "finish_reason": None}])
            arguments = call["function"]["arguments"]
            for part in (arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]):
                piece = {"index": at, "function": {"arguments": part}}
                await send([{"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}])
        end: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
        await send([{"index": 0, "finish_reason": self._finish(message), **end}])
        await send([], usage=USAGE)
        await response.write(b"data: [DONE]\n\n")
        return response


def words(message: Message) -> list[str]:
    text = message.get("content") or ""
    return [word if at == 0 else f" {word}" for at, word in enumerate(text.split(" "))] if text else []


def _logprob(word: str) -> dict[str, Any]:
    top = [{"token": word, "logprob": -0.1, "bytes": None}, {"token": "other", "logprob": -2.5, "bytes": None}]
    return {"token": word, "logprob": -0.1, "bytes": list(word.encode()), "top_logprobs": top}


@contextlib.asynccontextmanager
async def upstream_at(upstream: Upstream, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """The base URL of an upstream that listens."""
    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/chat/completions", upstream.handle)
    app.router.add_post("/v1/completions", upstream.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://{host}:{port}/v1"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def gateway_over(url: str, model: str = "up", **settings: Any) -> AsyncIterator[tuple[Gateway, str]]:
    """A gateway and its base URL."""
    ledger = Ledger()
    model_settings = {
        name: settings.pop(name) for name in ("strategy", "budget", "task", "verifier", "sampling") if name in settings
    }
    async with opened([f"{url}#{model}"], ledger=ledger, **model_settings) as models:
        gateway = Gateway(models, ledger=ledger, **settings)
        async with listening(gateway, drain_seconds=2.0) as base:
            yield gateway, base


@contextlib.asynccontextmanager
async def serving(upstream: Upstream | None = None, **settings: Any) -> AsyncIterator[tuple[Upstream, str]]:
    """An upstream and the URL of a gateway over it. The model's public name is "up"."""
    upstream = upstream or Upstream()
    async with upstream_at(upstream) as url, gateway_over(url, **settings) as (_, base):
        yield upstream, base
