"""/v1/responses: reads OpenAI's newer requests and writes their answers. The model's server is asked in chats all the same.

Nothing is stored, so requests that name an earlier response are refused; the conversation is what the request holds. How input
becomes messages is `response_input`'s, how an output's items look `response_items`'.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from outthink.core.backend import Delta
from outthink.gateway import response_items as items
from outthink.gateway.body import Fields
from outthink.gateway.messages import prompt_of
from outthink.gateway.preparing import Arrival, Form, Ready, begun, must_call, note_of, prepared
from outthink.gateway.refusal import Refusal
from outthink.gateway.reply import Outcome, event, split
from outthink.gateway.response_input import messages_of, settings_from
from outthink.gateway.runs import Answered


@dataclass(slots=True)
class _Item:
    """An item of the output that is being streamed.

    kind: "message", "refusal", "reasoning" or "call"
    """

    at: int
    id: str
    kind: str
    text: str = ""
    call: dict[str, Any] = field(default_factory=dict)
    logprobs: list[dict[str, Any]] = field(default_factory=list)


class ResponseWriter:
    """Writes `response` and its events.

    request: its body
    top:     how many alternatives the client wants for each token; None: no log-probabilities at all
    """

    def __init__(self, arrival: Arrival, ready: Ready, request: Mapping[str, Any], *, top: int | None) -> None:
        self._ready, self._arrival, self._top = ready, arrival, top
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
        answer = outcome.answers[0]
        output = self._output(answer)
        if answer.finish == "length":  # what came last was cut
            output[-1]["status"] = "incomplete"
        return self._finished(outcome, output)

    def _finished(self, outcome: Outcome, output: list[dict[str, Any]]) -> dict[str, Any]:
        cut = outcome.answers[0].finish == "length"
        more = {"incomplete_details": {"reason": "max_output_tokens"}} if cut else {}
        return self._response(
            "incomplete" if cut else "completed",
            output,
            usage=items.usage(outcome.counting.usage()),
            outthink=note_of(self._ready, outcome),
            **more,
        )

    def _output(self, answer: Answered) -> list[dict[str, Any]]:
        """At least one item."""
        found: list[dict[str, Any]] = []
        if answer.reasoning:
            found.append(items.reasoning(f"rs_{self._id}", answer.reasoning))
        if answer.text:
            found.append(items.message(f"msg_{self._id}", answer.text, logprobs=items.rows(answer.logprobs, self._top)))
        if refusal := _refusal_of(answer.message):
            found.append(items.refusal(f"msg_{self._id}_{len(found)}", refusal))
        found += [items.call(f"fc_{self._id}_{at}", call) for at, call in enumerate(answer.calls)]
        return found or [items.message(f"msg_{self._id}", "")]

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
            found += self._grow("message", text, items.rows(wire.get("logprobs"), self._top) if wire is not None else [])
        if refusal := _refusal_of(said):
            found += self._grow("refusal", refusal)
        called = said.get("tool_calls")
        for at, call in enumerate(called if isinstance(called, list) else ()):
            if isinstance(call, dict):
                found += self._called(call.get("index", at), call)
        return found

    def thought(self, text: str) -> bytes:
        """Progress as reasoning."""
        return self._grow("reasoning", text)

    def _grow(self, kind: str, text: str, logprobs: list[dict[str, Any]] | None = None) -> bytes:
        found = b""
        if (item := self._items.get(kind)) is None:
            if kind != "reasoning" and "reasoning" in self._items:
                found += self._close("reasoning")
            at = len(self._done) + len(self._items)
            prefix = {"message": f"msg_{self._id}", "reasoning": f"rs_{self._id}"}.get(kind, f"msg_{self._id}_{at}")
            item = self._items[kind] = _Item(at, prefix, kind)
            found += self._opened(item)
        item.text += text
        if kind == "reasoning":
            return found + self._of("response.reasoning_summary_text.delta", item, summary_index=0, delta=text)
        if kind == "refusal":
            return found + self._of("response.refusal.delta", item, content_index=0, delta=text)
        item.logprobs += logprobs or []
        return found + self._of("response.output_text.delta", item, content_index=0, delta=text, logprobs=logprobs or [])

    def _opened(self, item: _Item) -> bytes:
        if item.kind == "reasoning":
            empty = items.reasoning(item.id, "", "in_progress")
            found = self._event("response.output_item.added", output_index=item.at, item=empty)
            return found + self._of("response.reasoning_summary_part.added", item, summary_index=0, part=items.summary_part(""))
        empty = items.message(item.id, "", "in_progress") | {"content": []}
        found = self._event("response.output_item.added", output_index=item.at, item=empty)
        return found + self._of_part("response.content_part.added", item)

    def _of(self, kind: str, item: _Item, **fields: Any) -> bytes:
        return self._event(kind, item_id=item.id, output_index=item.at, **fields)

    def _of_part(self, kind: str, item: _Item) -> bytes:
        part = items.refusal_part(item.text) if item.kind == "refusal" else items.text_part(item.text, item.logprobs)
        return self._of(kind, item, content_index=0, part=part)

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
            added = items.call(item.id, item.call, "in_progress") | {"arguments": ""}
            found += self._event("response.output_item.added", output_index=at, item=added)
        more = function.get("arguments")
        if not isinstance(more, str) or not more:
            return found
        item.text += more
        return found + self._of("response.function_call_arguments.delta", item, delta=more)

    def _close(self, name: str, status: str = "completed") -> bytes:
        """End an item: everything of it once more."""
        item = self._items.pop(name)
        match item.kind:
            case "message":
                whole = items.message(item.id, item.text, status, item.logprobs)
                found = self._of("response.output_text.done", item, content_index=0, text=item.text, logprobs=item.logprobs)
                found += self._of_part("response.content_part.done", item)
            case "refusal":
                whole = items.refusal(item.id, item.text, status)
                found = self._of("response.refusal.done", item, content_index=0, refusal=item.text)
                found += self._of_part("response.content_part.done", item)
            case "reasoning":
                whole, part = items.reasoning(item.id, item.text, status), items.summary_part(item.text)
                found = self._of("response.reasoning_summary_text.done", item, summary_index=0, text=item.text)
                found += self._of("response.reasoning_summary_part.done", item, summary_index=0, part=part)
            case _:
                item.call["function"]["arguments"] = item.text
                whole = items.call(item.id, item.call, status)
                called = item.call["function"]["name"]
                found = self._of("response.function_call_arguments.done", item, name=called, arguments=item.text)
        self._done.append(whole)
        return found + self._event("response.output_item.done", output_index=item.at, item=whole)

    def end(self, outcome: Outcome, begun: frozenset[int]) -> Iterator[bytes]:
        """What wasn't streamed, the ends of all items, and the whole response."""
        answer = outcome.answers[0]
        if 0 not in begun:
            yield from (self._grow("reasoning", part) for part in split(answer.reasoning))
            if logprobs := items.rows(answer.logprobs, self._top):
                yield self._grow("message", answer.text or "", logprobs)
            else:
                yield from (self._grow("message", part) for part in split(answer.text or ""))
            if refusal := _refusal_of(answer.message):
                yield self._grow("refusal", refusal)
            for at, call in enumerate(answer.calls):
                yield self._called(at, call)
        if not self._items and not self._done:
            yield self._grow("message", "")
        for left, name in reversed(list(enumerate(reversed(self._items)))):
            cut = answer.finish == "length" and left == 0  # what came last
            yield self._close(name, "incomplete" if cut else "completed")
        response = self._finished(outcome, self._done)
        yield self._event(f"response.{response['status']}", response=response)

    def failed(self, refusal: Refusal) -> bytes:
        """The response as it failed. OpenAI's own words for a response's errors are few; ours is its type."""
        error = {"code": refusal.code, "message": str(refusal), "param": refusal.param}
        told = error | {"code": "rate_limit_exceeded" if refusal.status == 429 else "server_error", "type": refusal.code}
        usage = items.usage(refusal.usage) if refusal.usage is not None else None
        failed = self._response("failed", self._done, error=told, usage=usage)
        return self._event("error", **error) + self._event("response.failed", response=failed)


def _refusal_of(message: Mapping[str, Any]) -> str:
    found = message.get("refusal")
    return found if isinstance(found, str) else ""


def read_response(arrival: Arrival, body: Mapping[str, Any]) -> tuple[Ready, ResponseWriter]:
    """What a body asks for. Raises Refusal, UsageError."""
    fields = Fields(body)
    chosen = begun(arrival, fields)
    stream = fields.truth("stream")
    messages = messages_of(fields)
    top = settings_from(fields)
    wanted = fields.left.get("response_format", {}).get("type")
    form = Form(
        "responses",
        lambda extra: prompt_of(messages, extra),
        tools=bool(fields.left.get("tools")),
        must_call=must_call(fields),
        is_json=wanted in ("json_object", "json_schema"),
    )
    ready = prepared(arrival, fields, chosen, form, stream=stream)
    return ready, ResponseWriter(arrival, ready, body, top=top)
