"""One request's answer on its way to the client: whole or as a stream, with signs of life; ended at once when the client leaves.

What is written lives in the protocols; what is run in `runs`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from outthink.core.backend import Delta
from outthink.core.errors import OutthinkError
from outthink.core.selection import Result
from outthink.gateway.body import Receive
from outthink.gateway.counting import Counting, Together
from outthink.gateway.gateway import Gateway
from outthink.gateway.live import Bell, Live
from outthink.gateway.refusal import Refusal, bug, refusal_of
from outthink.gateway.runs import Answered, Job, carry_out, each, ranked, side_by_side
from outthink.gateway.seams import Ended
from outthink.runtime.listening import Listener
from outthink.runtime.spec import Bindings

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_LOG = logging.getLogger("outthink.gateway")
_JSON = (b"content-type", b"application/json")
_EVENTS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run: the answers, best first, and what they cost."""

    result: Result
    answers: Sequence[Answered]
    counting: Counting


class Writer(Protocol):
    """How one protocol writes an answer. All bytes are whole events of a stream."""

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """The body of an answer that isn't streamed."""
        ...

    def begin(self) -> bytes:
        """What a stream begins with."""
        ...

    def piece(self, index: int, delta: Delta) -> bytes:
        """A piece of an answer as it is generated."""
        ...

    def thought(self, text: str) -> bytes:
        """Progress, as reasoning."""
        ...

    def end(self, outcome: Outcome, begun: frozenset[int]) -> Iterable[bytes]:
        """The rest: answers that haven't begun, the ends of all, the usage."""
        ...

    def failed(self, refusal: Refusal) -> bytes:
        """The end of a stream that can't go on."""
        ...


class Reply:
    """Answers one request; an ASGI application of its own. The body was read already."""

    def __init__(
        self,
        gateway: Gateway,
        job: Job,
        bound: Bindings,
        writer: Writer,
        *,
        progress: str,
        headers: Mapping[str, str],
        began: float,
    ) -> None:
        self.gateway, self.job, self.bound, self.writer = gateway, job, bound, writer
        self.progress, self.began = progress, began
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
        self.counting = Counting()
        self.bell = Bell()
        asked = job.asked
        commits = asked.strategy.name == "single" or asked.strategy is each
        self.live = Live(self.bell) if asked.stream and commits else None
        self.first: float | None = None
        self.started = False

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer."""
        asked = self.job.asked
        told = [observer.began(asked) for observer in self.gateway.observers]
        heard: list[Listener] = [self.counting, *(listener for listener in told if listener is not None)]
        if self.live is not None:
            heard.append(self.live)
        run = asyncio.create_task(self._run(heard[0] if len(heard) == 1 else Together(heard)))
        gone = asyncio.create_task(_until_gone(receive))
        run.add_done_callback(self.bell.ring)
        gone.add_done_callback(self.bell.ring)
        ended = Ended(499, 0.0, left=True)
        try:
            outcome = await (self._stream(run, gone, send) if asked.stream else self._whole(run, gone, send))
            ended = Ended(200, 0.0, result=outcome.result)
        except _Left:
            pass
        except Refusal as refusal:
            ended = Ended(refusal.status, 0.0, refusal=refusal)
            await self._refuse(refusal, send)
        finally:
            run.cancel()
            gone.cancel()
            await asyncio.gather(run, gone, return_exceptions=True)
            # Only now is all settled that was under way when a client left.
            ended = replace(ended, seconds=self._seconds(), first_seconds=self.first, usage=self.counting.usage())
            for observer in self.gateway.observers:
                observer.ended(asked, ended)

    async def _run(self, listener: Listener) -> Outcome:
        try:
            result = await carry_out(self.gateway, self.job, self.bound, self.counting, listener)
            return Outcome(result, await ranked(self.job, result, self.counting), self.counting)
        except OutthinkError as error:
            raise refusal_of(error) from None
        except Exception:  # noqa: BLE001  # a bug of ours must not pass for a broken connection
            _LOG.exception("a run failed: this is a bug of Outthink's", extra={"request_id": self.job.asked.id})
            raise bug() from None

    async def _whole(self, run: asyncio.Task[Outcome], gone: asyncio.Task[None], send: Send) -> Outcome:
        while not run.done():
            if gone.done():
                raise _Left
            await self.bell.rung(3600.0)
        outcome = run.result()
        body = encoded(self.writer.whole(outcome))
        self.first = self._seconds()
        await send({"type": "http.response.start", "status": 200, "headers": [_JSON, _length(body), *self.headers]})
        await send({"type": "http.response.body", "body": body})
        return outcome

    async def _stream(self, run: asyncio.Task[Outcome], gone: asyncio.Task[None], send: Send) -> Outcome:
        """Headers leave with the first piece, or the first sign of life: until then an error still has its own status."""
        shown = ""
        while not run.done():
            if gone.done():
                raise _Left
            if self.live is not None and self.live.pieces:
                await self._send(send, self._beginning() + self._pieces())
            elif not await self.bell.rung(self.gateway.heartbeat) and self.progress != "none":
                shown = await self._alive(send, shown)
        if self.live is not None and self.live.pieces:
            await self._send(send, self._beginning() + self._pieces())
        outcome = run.result()
        if self.job.asked.strategy is each:
            outcome = replace(outcome, answers=side_by_side(self.job, outcome.result, self.counting))
        begun = frozenset(self.live.begun) if self.live is not None else frozenset()
        waiting = [self._beginning()]
        for event in self.writer.end(outcome, begun):
            waiting.append(event)
            if len(waiting) == 16:
                await self._send(send, b"".join(waiting))
                waiting.clear()
        await self._send(send, b"".join(waiting), more=False)
        return outcome

    def _beginning(self) -> bytes:
        """What the stream begins with, once, and before anything else is written: writers count their events."""
        return self.writer.begin() if not self.started else b""

    def _pieces(self) -> bytes:
        assert self.live is not None
        if self.first is None:
            self.first = self._seconds()
        pieces, self.live.pieces = self.live.pieces, type(self.live.pieces)()
        return b"".join([self.writer.piece(index, delta) for index, delta in pieces])

    async def _alive(self, send: Send, shown: str) -> str:
        """A sign of life: a comment, which clients skip, or reasoning where the client wants to see it."""
        said = f"{self.counting.progress()}, {self._seconds():.0f} s"
        if self.progress == "reasoning" and self.live is None:
            await self._send(send, self._beginning() + self.writer.thought(f"{said}\n"))
        else:
            await self._send(send, self._beginning() + f": {said}\n\n".encode())
        return said

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        if not self.started:
            self.started = True
            await send({"type": "http.response.start", "status": 200, "headers": [*_EVENTS, *self.headers]})
        if self.first is None and not more:
            self.first = self._seconds()
        await send({"type": "http.response.body", "body": body, "more_body": more})

    async def _refuse(self, refusal: Refusal, send: Send) -> None:
        if self.started:
            await send({"type": "http.response.body", "body": self.writer.failed(refusal), "more_body": False})
        else:
            await refuse(refusal, send, self.headers)

    def _seconds(self) -> float:
        return time.perf_counter() - self.began


class _Left(Exception):
    """The client went away."""


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def refuse(refusal: Refusal, send: Send, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send a refusal as a whole response. A client that is gone doesn't hear it."""
    body = refusal.body()
    own = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in refusal.headers().items()]
    with contextlib.suppress(OSError):
        start = {"type": "http.response.start", "status": refusal.status, "headers": [_JSON, _length(body), *own, *headers]}
        await send(start)
        await send({"type": "http.response.body", "body": body})


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % len(body)


def encoded(value: object) -> bytes:
    """JSON in UTF-8. What a hostile server said that isn't: half characters become question marks, numbers see `_finite`."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def _finite(value: object) -> object:
    """The same with finite numbers only. -9999 is OpenAI's own word for a log-probability of no chance at all."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return -9999.0 if value < 0 else None
    return value


def event(value: object, name: str = "") -> bytes:
    """One event of a stream."""
    return b"%bdata: %b\n\n" % (f"event: {name}\n".encode() if name else b"", encoded(value))


def split(text: str) -> Iterable[str]:
    """A text that is there already, in pieces that a client can show one after the other."""
    size = max(48, len(text) // 32 + 1)
    return (text[at : at + size] for at in range(0, len(text), size))
