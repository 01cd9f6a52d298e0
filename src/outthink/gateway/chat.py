"""/v1/chat/completions: reads OpenAI's chat requests and writes their answers, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from outthink.core.backend import Delta
from outthink.gateway.body import Fields
from outthink.gateway.messages import prompt_of
from outthink.gateway.preparing import Arrival, Form, Ready, begun, must_call, note_of, prepared
from outthink.gateway.refusal import Refusal
from outthink.gateway.reply import Outcome, encoded, event, split
from outthink.gateway.runs import Answered

MOST_TOP = 20
_JSON_FORMATS = ("json_object", "json_schema")


class ChatWriter:
    """Writes `chat.completion` and its chunks."""

    def __init__(self, arrival: Arrival, ready: Ready, *, usage: bool, top: int | None) -> None:
        self._ready, self._usage, self._top = ready, usage, top
        self._n = ready.job.asked.choices
        self._head = {"id": f"chatcmpl-{arrival.id}", "created": arrival.created, "model": ready.chosen.called}
        chunk = {**self._head, "object": "chat.completion.chunk"}
        # Chunks are written often: all that is the same in them is encoded once.
        self._before = b"data: " + encoded(chunk)[:-1] + b',"choices":['
        self._after = b'],"usage":null}\n\n' if usage else b"]}\n\n"
        self._ended: dict[int, str] = {}

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """The body of a whole answer."""
        choices = [
            {
                "index": index,
                "message": self._message(answer),
                "logprobs": self._logprobs(answer.logprobs),
                "finish_reason": answer.finish,
            }
            for index, answer in enumerate(outcome.answers)
        ]
        note = note_of(self._ready, outcome)
        usage = outcome.counting.usage()
        return {**self._head, "object": "chat.completion", "choices": choices, "usage": usage, "outthink": note}

    def _message(self, answer: Answered) -> dict[str, Any]:
        message = {"role": "assistant", "content": answer.text, "refusal": None, **answer.message}
        return message | {"reasoning_content": answer.reasoning} if answer.reasoning else message

    def _logprobs(self, found: Any) -> Any:
        """As many alternatives as the client asked for; the strategy may have wanted more."""
        if self._top is None or not isinstance(found, dict):
            return None
        rows = found.get("content")
        if not isinstance(rows, list):
            return found
        cut = [row | {"top_logprobs": (row.get("top_logprobs") or [])[: self._top]} for row in rows if isinstance(row, dict)]
        return {**found, "content": cut}

    def _chunk(self, index: int, delta: Mapping[str, Any], finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._before + encoded(choice) + self._after

    def begin(self) -> bytes:
        """Every choice says who speaks."""
        return b"".join(self._chunk(index, {"role": "assistant", "content": ""}) for index in range(self._n))

    def piece(self, index: int, delta: Delta) -> bytes:
        """What the server said, as it said it."""
        wire = delta.wire
        if wire is None:
            return self._chunk(index, {"content": delta.text}) if delta.text else b""
        said = wire.get("delta") or wire.get("message")
        new = {name: value for name, value in said.items() if name != "role"} if isinstance(said, dict) else {}
        return self._chunk(index, new, logprobs=self._logprobs(wire.get("logprobs"))) if new else b""

    def thought(self, text: str) -> bytes:
        """Progress as reasoning."""
        return self._chunk(0, {"reasoning_content": text})

    def end(self, outcome: Outcome, begun: frozenset[int]) -> Iterator[bytes]:
        """The answers that weren't streamed, the ends of all, and the usage."""
        for index, answer in enumerate(outcome.answers):
            if index not in begun:
                yield from self._said(index, answer)
        chunk = {**self._head, "object": "chat.completion.chunk"} | ({"usage": None} if self._usage else {})
        for index, answer in enumerate(outcome.answers):  # each in a chunk of its own: many clients look at the first choice only
            end = {"index": index, "delta": {}, "logprobs": None, "finish_reason": answer.finish}
            note = {"outthink": note_of(self._ready, outcome)} if index == len(outcome.answers) - 1 else {}
            yield event(chunk | {"choices": [end]} | note)
        if self._usage:
            yield event(chunk | {"choices": [], "usage": outcome.counting.usage()})
        yield b"data: [DONE]\n\n"

    def _said(self, index: int, answer: Answered) -> Iterable[bytes]:
        if answer.reasoning:
            yield from (self._chunk(index, {"reasoning_content": part}) for part in split(answer.reasoning))
        if isinstance(answer.logprobs, dict) and self._top is not None:
            yield self._chunk(index, {"content": answer.text or ""}, logprobs=self._logprobs(answer.logprobs))
        else:
            yield from (self._chunk(index, {"content": part}) for part in split(answer.text or ""))
        rest = {name: value for name, value in answer.message.items() if name != "tool_calls"}
        if rest:
            yield self._chunk(index, rest)
        for at, call in enumerate(answer.calls):
            yield self._chunk(index, {"tool_calls": [{"index": at, **call}]})

    def failed(self, refusal: Refusal) -> bytes:
        """An error inside of a stream, and no [DONE]: clients must not take what came for an answer."""
        return event(refusal.document())


def read_chat(arrival: Arrival, body: Mapping[str, Any]) -> tuple[Ready, ChatWriter]:
    """What a body asks for. Raises Refusal, UsageError."""
    fields = Fields(body)
    chosen = begun(arrival, fields)
    messages = fields.take("messages")
    stream = fields.truth("stream")
    usage = Fields(fields.table("stream_options") or {}, "stream_options").truth("include_usage")
    form = Form(
        "chat",
        lambda extra: prompt_of(messages, extra),
        tools=_tools(fields),
        must_call=must_call(fields),
        is_json=_is_json(fields),
    )
    top = _top(fields)
    ready = prepared(arrival, fields, chosen, form, stream=stream)
    return ready, ChatWriter(arrival, ready, usage=usage, top=top)


def _tools(fields: Fields) -> bool:
    """Whether the request brings tools. They go through as they are."""
    found = False
    for name in ("tools", "functions"):
        tools = fields.left.get(name)
        if tools is not None:
            if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
                raise fields.refuse(name, "a list of objects")
            found = found or bool(tools)
    return found


def _is_json(fields: Fields) -> bool:
    wanted = fields.left.get("response_format")
    if wanted is None:
        return False
    if not isinstance(wanted, dict) or wanted.get("type") not in ("text", *_JSON_FORMATS):
        raise fields.refuse("response_format", 'an object whose type is "text", "json_object" or "json_schema"')
    if wanted["type"] == "json_schema" and not isinstance(wanted.get("json_schema"), dict):
        raise fields.refuse("response_format.json_schema", "an object")
    return wanted["type"] in _JSON_FORMATS


def _top(fields: Fields) -> int | None:
    """How many alternatives the client wants for each token; None: no log-probabilities at all."""
    wanted, top = fields.left.get("logprobs"), fields.left.get("top_logprobs")
    if wanted is not None and not isinstance(wanted, bool):
        raise fields.refuse("logprobs", "true or false")
    if top is not None and (not isinstance(top, int) or isinstance(top, bool) or not 0 <= top <= MOST_TOP or not wanted):
        raise fields.refuse("top_logprobs", f"a whole number from 0 to {MOST_TOP}, with logprobs = true")
    return (top or 0) if wanted else None
