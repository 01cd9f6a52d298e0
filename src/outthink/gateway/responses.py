"""/v1/responses: reads OpenAI's newer requests and writes their answers. The model's server is asked in chats all the same.

Nothing is stored, so requests that name an earlier response are refused; the conversation is what the request holds. How input
becomes messages is `response_input`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from outthink.core.backend import Delta
from outthink.gateway.body import Fields
from outthink.gateway.messages import prompt_of
from outthink.gateway.preparing import Arrival, Form, Ready, begun, note_of, prepared
from outthink.gateway.refusal import Refusal
from outthink.gateway.reply import Outcome, event, split
from outthink.gateway.response_input import messages_of, settings_from
from outthink.gateway.runs import Answered


@dataclass(slots=True)
class _Item:
    """An item of the output that is being streamed."""

    at: int
    id: str
    kind: str
    text: str = ""
    call: dict[str, Any] = field(default_factory=dict)


class ResponseWriter:
    """Writes `response` and its events."""

    def __init__(self, arrival: Arrival, ready: Ready, request: Mapping[str, Any]) -> None:
        self._ready, self._arrival = ready, arrival
        self._id = arrival.id
        self._count = 0
        self._items: dict[str, _Item] = {}
        self._done: list[dict[str, Any]] = []
        shown = ("instructions", "metadata", "parallel_tool_calls", "temperature", "top_p", "tool_choice", "tools", "text",
                 "max_output_tokens", "reasoning", "truncation", "user")  # fmt: skip
        defaults: dict[str, Any] = {
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
        self._echo = {**defaults, **{name: request[name] for name in shown if request.get(name) is not None}}

    def _response(self, status: str, output: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return {
            "id": f"resp_{self._id}",
            "object": "response",
            "created_at": self._arrival.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self._ready.chosen.called,
            "output": output,
            "previous_response_id": None,
            "store": False,
            "usage": None,
            **self._echo,
            **more,
        }

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """The body of a whole answer."""
        return self._finished(outcome, self._output(outcome.answers[0]))

    def _finished(self, outcome: Outcome, output: list[dict[str, Any]]) -> dict[str, Any]:
        cut = outcome.answers[0].finish == "length"
        more = {"incomplete_details": {"reason": "max_output_tokens"}} if cut else {}
        return self._response(
            "incomplete" if cut else "completed",
            output,
            usage=_usage(outcome),
            outthink=note_of(self._ready, outcome),
            **more,
        )

    def _output(self, answer: Answered) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        if answer.reasoning:
            items.append(_reasoning(f"rs_{self._id}", answer.reasoning))
        if answer.text is not None and (answer.text or not answer.calls):
            items.append(_message(f"msg_{self._id}", answer.text))
        items += [_call(f"fc_{self._id}_{at}", call) for at, call in enumerate(answer.calls)]
        return items

    # Streams

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._count += 1
        return event({"type": kind, "sequence_number": self._count - 1, **fields}, kind)

    def begin(self) -> bytes:
        """The response as it begins."""
        begun = self._response("in_progress", [])
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def piece(self, index: int, delta: Delta) -> bytes:
        """What the server said, as events of the item that it belongs to."""
        wire = delta.wire
        said = wire.get("delta") or wire.get("message") if wire is not None else {"content": delta.text}
        if not isinstance(said, dict):
            return b""
        found = b""
        for name in ("reasoning_content", "reasoning"):
            if isinstance(text := said.get(name), str) and text:
                found += self._grow("reasoning", text)
        if isinstance(text := said.get("content"), str) and text:
            found += self._grow("message", text)
        called = said.get("tool_calls")
        for at, call in enumerate(called if isinstance(called, list) else ()):
            if isinstance(call, dict):
                found += self._called(call.get("index", at), call)
        return found

    def thought(self, text: str) -> bytes:
        """Progress as reasoning."""
        return self._grow("reasoning", text)

    def _grow(self, kind: str, text: str) -> bytes:
        found = b""
        if (item := self._items.get(kind)) is None:
            if kind == "message" and "reasoning" in self._items:
                found += self._close("reasoning")
            prefix = "msg" if kind == "message" else "rs"
            item = self._items[kind] = _Item(len(self._done) + len(self._items), f"{prefix}_{self._id}", kind)
            empty = _message(item.id, "", "in_progress") | {"content": []} if kind == "message" else _reasoning(item.id, "")
            found += self._event("response.output_item.added", output_index=item.at, item=empty)
            if kind == "message":
                found += self._part("response.content_part.added", item)
        item.text += text
        if kind == "reasoning":
            return found + self._of("response.reasoning_summary_text.delta", item, summary_index=0, delta=text)
        return found + self._of("response.output_text.delta", item, content_index=0, delta=text, logprobs=[])

    def _of(self, kind: str, item: _Item, **fields: Any) -> bytes:
        return self._event(kind, item_id=item.id, output_index=item.at, **fields)

    def _part(self, kind: str, item: _Item) -> bytes:
        return self._of(kind, item, content_index=0, part={"type": "output_text", "text": item.text, "annotations": []})

    def _called(self, index: object, call: Mapping[str, Any]) -> bytes:
        """A tool call, or a piece of one."""
        name, found = f"call {index}", b""
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        if (item := self._items.get(name)) is None:
            found = b"".join(self._close(each) for each in list(self._items))
            at = len(self._done)
            item = self._items[name] = _Item(at, f"fc_{self._id}_{at}", "call")
            item.call = {"id": call.get("id"), "function": {"name": function.get("name")}}
            added = _call(item.id, item.call, "in_progress") | {"arguments": ""}
            found += self._event("response.output_item.added", output_index=at, item=added)
        more = function.get("arguments")
        if not isinstance(more, str) or not more:
            return found
        item.text += more
        return found + self._of("response.function_call_arguments.delta", item, delta=more)

    def _close(self, name: str) -> bytes:
        """End an item: everything of it once more."""
        item = self._items.pop(name)
        found = b""
        if item.kind == "message":
            whole = _message(item.id, item.text)
            found += self._of("response.output_text.done", item, content_index=0, text=item.text, logprobs=[])
            found += self._part("response.content_part.done", item)
        elif item.kind == "reasoning":
            whole = _reasoning(item.id, item.text)
            found += self._of("response.reasoning_summary_text.done", item, summary_index=0, text=item.text)
        else:
            item.call["function"]["arguments"] = item.text
            whole = _call(item.id, item.call)
            called = item.call["function"]["name"]
            found += self._of("response.function_call_arguments.done", item, name=called, arguments=item.text)
        self._done.append(whole)
        return found + self._event("response.output_item.done", output_index=item.at, item=whole)

    def end(self, outcome: Outcome, begun: frozenset[int]) -> Iterator[bytes]:
        """What wasn't streamed, the ends of all items, and the whole response."""
        answer = outcome.answers[0]
        if 0 not in begun:
            yield from (self._grow("reasoning", part) for part in split(answer.reasoning))
            yield from (self._grow("message", part) for part in split(answer.text or ""))
            for at, call in enumerate(answer.calls):
                yield self._called(at, call)
        if not self._items and not self._done:
            yield self._grow("message", "")
        for name in list(self._items):
            yield self._close(name)
        response = self._finished(outcome, self._done)
        yield self._event(f"response.{response['status']}", response=response)

    def failed(self, refusal: Refusal) -> bytes:
        """The response as it failed."""
        error = {"code": refusal.code, "message": str(refusal)}
        failed = self._response("failed", self._done, error=error, usage=None)
        return self._event("error", **error, param=refusal.param) + self._event("response.failed", response=failed)


def _message(name: str, text: str, status: str = "completed") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"id": name, "type": "message", "role": "assistant", "status": status, "content": [part]}


def _reasoning(name: str, text: str) -> dict[str, Any]:
    return {"id": name, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}


def _call(name: str, call: Mapping[str, Any], status: str = "completed") -> dict[str, Any]:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    return {
        "id": name,
        "type": "function_call",
        "status": status,
        "call_id": call.get("id") or name,
        "name": function.get("name"),
        "arguments": function.get("arguments") or "",
    }


def _usage(outcome: Outcome) -> dict[str, Any]:
    total = outcome.counting.total
    return {
        "input_tokens": total.prompt_tokens,
        "input_tokens_details": {"cached_tokens": total.cached_tokens},
        "output_tokens": total.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": total.reasoning_tokens},
        "total_tokens": total.tokens,
        "outthink": outcome.counting.details(),
    }


def read_response(arrival: Arrival, body: Mapping[str, Any]) -> tuple[Ready, ResponseWriter]:
    """What a body asks for. Raises Refusal, UsageError."""
    fields = Fields(body)
    chosen = begun(arrival, fields)
    stream = fields.truth("stream")
    messages = messages_of(fields)
    settings_from(fields)
    wanted = fields.left.get("response_format", {}).get("type")
    form = Form(
        "responses",
        lambda extra: prompt_of(messages, extra),
        tools=bool(fields.left.get("tools")),
        must_call=fields.left.get("tool_choice") == "required" or isinstance(fields.left.get("tool_choice"), dict),
        is_json=wanted in ("json_object", "json_schema"),
    )
    ready = prepared(arrival, fields, chosen, form, stream=stream)
    return ready, ResponseWriter(arrival, ready, body)
