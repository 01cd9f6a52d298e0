"""A response says of every item whether it is whole, in OpenAI's own types, and its stream says the same."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from openai.types import responses as types

from tests.gateway.serving import Message, Upstream, calls, says, serving, words
from tests.gateway.test_clients import client

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
EVENTS: dict[str, Any] = {
    "response.created": types.ResponseCreatedEvent,
    "response.in_progress": types.ResponseInProgressEvent,
    "response.completed": types.ResponseCompletedEvent,
    "response.incomplete": types.ResponseIncompleteEvent,
    "response.failed": types.ResponseFailedEvent,
    "response.output_item.added": types.ResponseOutputItemAddedEvent,
    "response.output_item.done": types.ResponseOutputItemDoneEvent,
    "response.content_part.added": types.ResponseContentPartAddedEvent,
    "response.content_part.done": types.ResponseContentPartDoneEvent,
    "response.output_text.delta": types.ResponseTextDeltaEvent,
    "response.output_text.done": types.ResponseTextDoneEvent,
    "response.refusal.delta": types.ResponseRefusalDeltaEvent,
    "response.refusal.done": types.ResponseRefusalDoneEvent,
    "response.function_call_arguments.delta": types.ResponseFunctionCallArgumentsDeltaEvent,
    "response.function_call_arguments.done": types.ResponseFunctionCallArgumentsDoneEvent,
    "response.reasoning_summary_part.added": types.ResponseReasoningSummaryPartAddedEvent,
    "response.reasoning_summary_part.done": types.ResponseReasoningSummaryPartDoneEvent,
    "response.reasoning_summary_text.delta": types.ResponseReasoningSummaryTextDeltaEvent,
    "response.reasoning_summary_text.done": types.ResponseReasoningSummaryTextDoneEvent,
    "error": types.ResponseErrorEvent,
}


class Ending(Upstream):
    """Ends for the reason that the message names, and says what it thought, or why it refuses, as servers do."""

    def _finish(self, message: Message) -> str:
        return str(message.get("finish") or super()._finish(message))

    async def _stream(self, request: Any, body: dict[str, Any], message: Message) -> Any:
        from aiohttp import web

        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for name in ("reasoning_content", "content", "refusal"):
            for word in words(says(message.get(name) or "")):
                await response.write(_event({"delta": {name: word}}))
        for at, call in enumerate(message.get("tool_calls") or ()):
            await response.write(_event({"delta": {"tool_calls": [{"index": at, **call}]}}))
        await response.write(_event({"delta": {}, "finish_reason": self._finish(message)}) + b"data: [DONE]\n\n")
        return response


def _event(choice: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({"id": "up", "choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


def valid(kind: Any, found: dict[str, Any]) -> None:
    """It is what OpenAI's own type says, but for what we can't know: how many tokens a server's cache took in."""
    told = json.loads(json.dumps(found).replace('"cached_tokens"', '"cache_write_tokens": 0, "cached_tokens"'))
    kind.model_validate(told, strict=False)


async def told(base: str, **body: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The response, and its events if it is streamed; all of them are of OpenAI's types."""
    async with aiohttp.ClientSession() as session, session.post(f"{base}/v1/responses", json=body) as reply:
        text = await reply.text()
        assert reply.status == 200, text
    if not body.get("stream"):
        valid(types.Response, json.loads(text))
        return json.loads(text), []
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    for event in events:
        valid(EVENTS[event["type"]], event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events[-1]["response"], events


def called(message: Message, text: str | None) -> Message:
    return {**message, "content": text, "finish": "length"}


CALL = calls("weather", '{"city": "Os')
CUT: list[tuple[str, Message, list[tuple[str, str]]]] = [
    ("a text", {**says("one two"), "finish": "length"}, [("message", "incomplete")]),
    ("a call", called(CALL, None), [("function_call", "incomplete")]),
    ("a call after a text", called(CALL, "Let me see."), [("message", "completed"), ("function_call", "incomplete")]),
    ("a thought", {"role": "assistant", "content": "", "reasoning_content": "so far", "finish": "length"},
     [("reasoning", "incomplete")]),
    ("a text after a thought", {**says("one"), "reasoning_content": "well", "finish": "length"},
     [("reasoning", "completed"), ("message", "incomplete")]),
    ("nothing at all", {**says(""), "finish": "length"}, [("message", "incomplete")]),
    ("a whole text", says("one two"), [("message", "completed")]),
    ("a whole call", calls("weather", "{}"), [("function_call", "completed")]),
    ("a refusal", {"role": "assistant", "content": None, "refusal": "I won't."}, [("message", "completed")]),
]  # fmt: skip


VOTES = ("a text", "a text after a thought", "a whole text", "a whole call", "a refusal")
CASES = [("up", *case) for case in CUT] + [("up@majority:2", *case) for case in CUT if case[0] in VOTES]


@pytest.mark.parametrize(("model", "name", "message", "expected"), CASES)
async def test_the_item_that_was_cut_is_incomplete(
    model: str, name: str, message: Message, expected: list[tuple[str, str]]
) -> None:
    asked = {"model": model, "input": "x", "tools": [WEATHER], "max_output_tokens": 9}
    async with serving(Ending([message])) as (_, base):
        whole, _ = await told(base, **asked)
        streamed, events = await told(base, **asked, stream=True)
    cut = message.get("finish") == "length"
    for response in (whole, streamed):
        assert [(item["type"], item["status"]) for item in response["output"]] == expected
        assert response["status"] == ("incomplete" if cut else "completed")
        assert response["incomplete_details"] == ({"reason": "max_output_tokens"} if cut else None)
    assert events[-1]["type"] == f"response.{streamed['status']}"
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    assert done == streamed["output"]
    assert [(item["id"], item["status"]) for item in added] == [(item["id"], "in_progress") for item in done]
    kept = ("type", "content", "summary", "name", "arguments")
    assert [[item.get(part) for part in kept] for item in done] == [[item.get(part) for part in kept] for item in whole["output"]]


async def test_openai_s_client_sees_what_was_cut() -> None:
    async with serving(Ending([{**says("one two"), "finish": "length"}])) as (_, base), client(base) as ai:
        async with ai.responses.stream(model="up", input="x", max_output_tokens=9) as stream:
            kinds = [event.type async for event in stream]
        whole = await ai.responses.create(model="up", input="x", max_output_tokens=9)
    assert kinds[-1] == "response.incomplete"
    assert (whole.status, whole.output[0].status, whole.output_text) == ("incomplete", "incomplete", "one two")  # type: ignore[union-attr]


@pytest.mark.parametrize("more", [{"include": ["message.output_text.logprobs"]}, {"top_logprobs": 1}, {}])
@pytest.mark.parametrize("model", ["up", "up@majority:2"])
async def test_log_probabilities_are_told_where_they_are_asked_for(model: str, more: dict[str, Any]) -> None:
    async with serving(Upstream([says("one two")])) as (upstream, base):
        whole, _ = await told(base, model=model, input="x", **more)
        streamed, events = await told(base, model=model, input="x", stream=True, **more)
    expected = [("one", more.get("top_logprobs", 0)), (" two", more.get("top_logprobs", 0))] if more else []
    for response in (whole, streamed):
        rows = response["output"][0]["content"][0]["logprobs"]
        assert [(row["token"], len(row["top_logprobs"])) for row in rows] == expected
    deltas = [row for event in events if event["type"] == "response.output_text.delta" for row in event["logprobs"]]
    assert deltas == streamed["output"][0]["content"][0]["logprobs"]
    assert all(body.get("logprobs", False) == bool(more) for body in upstream.bodies)


async def test_a_response_that_fails_says_so_in_openai_s_words_and_what_it_cost() -> None:
    broken = Upstream([says("one two three four")], break_after=2)
    async with serving(broken) as (_, base):
        response, events = await told(base, model="up", input="x", stream=True)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["code"] == "upstream_lost"
    assert (response["status"], response["error"]["code"], response["error"]["type"]) == (
        "failed",
        "server_error",
        "upstream_lost",
    )
    assert response["usage"]["outthink"]["calls"] == 1


async def test_a_choice_among_allowed_tools_is_a_chat_s() -> None:
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "weather"}]}
    async with serving(Upstream([says("dry")])) as (upstream, base):
        for mode, status in (("auto", "completed"), ("required", None)):
            asked = {"model": "up@majority:2", "input": "x", "tools": [WEATHER], "tool_choice": {**choice, "mode": mode}}
            async with aiohttp.ClientSession() as session, session.post(f"{base}/v1/responses", json=asked) as reply:
                assert (await reply.json()).get("status") == status  # no text is an answer where a call is demanded
    named = {"type": "function", "function": {"name": "weather"}}
    assert upstream.bodies[0]["tool_choice"] == {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named]}}
