"""The wire format of OpenAI-compatible replies: whole bodies and stream events from generated tokens. No connection, no time."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from outthink.testing.fake_server.accounts import Entry
from outthink.testing.fake_server.sampling import Generated, Order, Ranked, alternatives, prompt_tokens
from outthink.testing.fake_server.settings import FakeSettings

Faults = Collection[str]
_KINDS = {  # (chat, stream): object
    (True, False): "chat.completion",
    (True, True): "chat.completion.chunk",
    (False, False): "text_completion",
    (False, True): "text_completion",
}


def usage_of(order: Order, choices: Sequence[Generated], entry: Entry, faults: Faults) -> dict[str, Any] | None:
    """The usage object, true or not; what it claims is written into the entry."""
    if "missing_usage" in faults:
        return None
    completion = sum(choice.count for choice in choices)
    if "wrong_usage" in faults:
        completion = (completion // 2, completion * 10, -5)[completion % 3]
    entry.reported = completion
    return {
        "prompt_tokens": entry.prompt,
        "completion_tokens": completion,
        "total_tokens": entry.prompt + completion,
        "prompt_tokens_details": {"cached_tokens": entry.cached},
        "completion_tokens_details": {"reasoning_tokens": sum(choice.hidden for choice in choices)},
    }


def whole(order: Order, choices: Sequence[Generated], entry: Entry, faults: Faults, settings: FakeSettings) -> bytes:
    """The body of a reply that is not streamed."""
    rows: list[dict[str, Any]] = []
    for index, choice in enumerate(choices):
        text: str | None = None if "null_content" in faults else "".join(choice.tokens)
        row: dict[str, Any] = {"index": index, "finish_reason": choice.finish, "logprobs": None}
        if order.chat:
            row["message"] = {"role": "assistant", "content": text}
            if choice.hidden and settings.reasoning_visible:
                row["message"]["reasoning_content"] = " think" * choice.hidden
        else:
            row["text"] = order.prompt + (text or "") if order.echo else text
        if order.logprobs is not None and "null_logprobs" not in faults:
            row["logprobs"] = _logprobs(order, choice, faults, alternatives(choice, order.logprobs))
        if order.prompt_logprobs is not None:
            row["prompt_logprobs"] = _prompt_logprobs(order)
        rows.append(row)
    if "duplicate_indices" in faults:
        rows = [row | {"index": 0} for row in (rows[0], *rows)]
    reply = _head(order, entry, stream=False, settings=settings)
    reply["choices"] = [] if "empty_choices" in faults else rows
    usage = usage_of(order, choices, entry, faults)
    if usage is not None:
        reply["usage"] = usage
    return json.dumps(reply).encode()


def events(
    order: Order, choices: Sequence[Generated], entry: Entry, faults: Faults, settings: FakeSettings
) -> Iterator[tuple[bytes, int]]:
    """The events of a stream, each with the completion tokens it delivers; one token an event, choices in turn."""
    head = _head(order, entry, stream=True, settings=settings)

    def event(index: int, text: str | None, logprobs: Any = None, finish: str | None = None, field: str = "content") -> bytes:
        if "duplicate_indices" in faults:
            index = 0
        row: dict[str, Any] = {"index": index, "logprobs": logprobs, "finish_reason": finish}
        if order.chat:
            row["delta"] = {} if finish else {field: text}
        else:
            row["text"] = text
        return _sse(head | {"choices": [row]})

    if "empty_choices" not in faults:
        streams = [_choice_events(order, index, choice, faults, settings, event) for index, choice in enumerate(choices)]
        while streams:
            for stream in streams.copy():
                item = next(stream, None)
                if item is None:
                    streams.remove(stream)
                else:
                    yield item
    usage = usage_of(order, choices, entry, faults) if order.include_usage else None
    if usage is not None:
        yield _sse(head | {"choices": [], "usage": usage}), 0
    yield b"data: [DONE]\n\n", 0


def _choice_events(
    order: Order, index: int, choice: Generated, faults: Faults, settings: FakeSettings, event: Any
) -> Iterator[tuple[bytes, int]]:
    if order.echo:
        yield event(index, order.prompt), 0
    for _ in range(choice.hidden):
        yield event(index, " think", field="reasoning_content") if settings.reasoning_visible and order.chat else b"", 1
    wanted = order.logprobs is not None and "null_logprobs" not in faults
    table = alternatives(choice, order.logprobs or 0) if wanted else []
    for at, token in enumerate(choice.tokens):
        logprobs = _logprobs(order, choice, faults, table, slice(at, at + 1)) if wanted else None
        yield event(index, None if "null_content" in faults else token, logprobs), 1
    yield event(index, "", finish=choice.finish), 0


def error_body(status: int, message: str) -> bytes:
    """An error as OpenAI and vLLM write it."""
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": status}}).encode()


def _head(order: Order, entry: Entry, *, stream: bool, settings: FakeSettings) -> dict[str, Any]:
    return {"id": entry.id, "object": _KINDS[order.chat, stream], "created": 0, "model": settings.model}


def _sse(data: dict[str, Any]) -> bytes:
    return b"data: %s\n\n" % json.dumps(data).encode()


def _logprobs(
    order: Order, choice: Generated, faults: Faults, table: Sequence[Ranked], part: slice = slice(None)
) -> dict[str, Any]:
    rows = [
        (token, math.log(chosen), [(other, math.log(p)) for other, p in ranked])
        for token, (chosen, ranked) in zip(choice.tokens[part], table[part], strict=True)
    ]
    middle = len(choice.tokens) // 2 - (part.start or 0)
    if "nan_logprobs" in faults and 0 <= middle < len(rows):
        rows[middle] = (rows[middle][0], math.nan, rows[middle][2])
    if order.chat:
        return {"content": [_chat_token(*row) for row in rows]}
    if order.echo and not order.stream:
        rows = [*_echoed(order), *rows]
    offsets = [0 if order.echo else len(order.prompt)]
    for token, _, _ in rows:
        offsets.append(offsets[-1] + len(token))
    return {
        "tokens": [token for token, _, _ in rows],
        "token_logprobs": [chosen for _, chosen, _ in rows],
        "top_logprobs": [dict(ranked) if ranked or at else None for at, (_, _, ranked) in enumerate(rows)],
        "text_offset": offsets[:-1],
    }


def _chat_token(token: str, chosen: float, ranked: list[tuple[str, float]]) -> dict[str, Any]:
    top = [{"token": other, "logprob": value, "bytes": list(other.encode())} for other, value in ranked]
    return {"token": token, "logprob": chosen, "bytes": list(token.encode()), "top_logprobs": top}


def _of_prompt(order: Order) -> list[float]:
    """One log-probability for each prompt token but the first, a function of the tokens before it only."""
    return [-0.05 - (len(token) * 7 + at) % 40 / 20 for at, token in enumerate(prompt_tokens(order.prompt))][1:]


def _echoed(order: Order) -> list[Any]:
    tokens = prompt_tokens(order.prompt)
    values: list[float | None] = [None, *_of_prompt(order)]
    return [(token, value, [] if value is None else [(token, value)]) for token, value in zip(tokens, values, strict=True)]


def _prompt_logprobs(order: Order) -> list[Any]:
    tokens = prompt_tokens(order.prompt)
    rows = zip(tokens[1:], _of_prompt(order), strict=True)
    return [None, *({str(at): {"logprob": value, "rank": 1, "decoded_token": token}} for at, (token, value) in enumerate(rows))]
