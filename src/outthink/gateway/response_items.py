"""The items of a response's output, in OpenAI's form: messages, reasoning and calls, and what they cost. Plain data, made whole.

How they are streamed is `responses`'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def message(name: str, text: str, status: str = "completed", logprobs: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """A message that is one text."""
    return _said(name, text_part(text, logprobs), status)


def refusal(name: str, text: str, status: str = "completed") -> dict[str, Any]:
    """A message that says why the model won't answer."""
    return _said(name, refusal_part(text), status)


def _said(name: str, part: dict[str, Any], status: str) -> dict[str, Any]:
    return {"id": name, "type": "message", "role": "assistant", "status": status, "content": [part]}


def text_part(text: str, logprobs: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The text of a message, with the log-probabilities of its tokens."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def refusal_part(text: str) -> dict[str, Any]:
    """The text of a refusal."""
    return {"type": "refusal", "refusal": text}


def reasoning(name: str, text: str, status: str = "completed") -> dict[str, Any]:
    """What the model thought."""
    return {"id": name, "type": "reasoning", "status": status, "summary": [summary_part(text)] if text else []}


def summary_part(text: str) -> dict[str, Any]:
    """The text of a thought."""
    return {"type": "summary_text", "text": text}


def call(name: str, found: Mapping[str, Any], status: str = "completed") -> dict[str, Any]:
    """A tool call, out of a chat's."""
    function = found.get("function")
    function = function if isinstance(function, dict) else {}
    return {
        "id": name,
        "type": "function_call",
        "status": status,
        "call_id": found.get("id") or name,
        "name": function.get("name"),
        "arguments": function.get("arguments") or "",
    }


def rows(found: object, top: int | None) -> list[dict[str, Any]]:
    """Log-probabilities of a text's tokens with `top` alternatives each, out of a chat's; None: the client wants none.

    A server's rows may be anything; those without a token and its number are left out.
    """
    listed = found.get("content") if isinstance(found, dict) else None
    if top is None or not isinstance(listed, list):
        return []
    made = []
    for row in listed:
        if (token := _token(row)) is not None:
            others = row.get("top_logprobs")
            told = [_token(other) for other in (others if isinstance(others, list) else [])[:top]]
            made.append({**token, "top_logprobs": [each for each in told if each is not None]})
    return made


def _token(row: object) -> dict[str, Any] | None:
    if not isinstance(row, dict) or not isinstance(row.get("token"), str) or not isinstance(row.get("logprob"), (int, float)):
        return None
    given = row.get("bytes")
    return {
        "token": row["token"],
        "bytes": given if isinstance(given, list) else list(row["token"].encode("utf-8", "replace")),
        "logprob": row["logprob"],
    }


def usage(of_chat: Mapping[str, Any]) -> dict[str, Any]:
    """The usage of a response, out of a chat's."""
    return {
        "input_tokens": of_chat["prompt_tokens"],
        "input_tokens_details": of_chat["prompt_tokens_details"],
        "output_tokens": of_chat["completion_tokens"],
        "output_tokens_details": of_chat["completion_tokens_details"],
        "total_tokens": of_chat["total_tokens"],
        "outthink": of_chat["outthink"],
    }
