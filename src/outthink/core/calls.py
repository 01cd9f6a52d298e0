"""Tool calls of a sample as part of its text, so that whatever reads texts (votes, judges, choosers) sees them too.

A call is written as most open models write it themselves: <tool_call>{"name": ..., "arguments": {...}}</tool_call>.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

OPENING, CLOSING = "<tool_call>", "</tool_call>"


def written(text: str, calls: Sequence[Mapping[str, Any]]) -> str:
    """The text with the calls of a chat message after it (`tool_calls`, of OpenAI's shape; odd ones are shown as they are)."""
    shown = [text] if text else []
    for call in calls:
        function = call.get("function")
        if not isinstance(function, Mapping):
            custom = call.get("custom")
            function = {"name": custom.get("name"), "arguments": custom.get("input")} if isinstance(custom, Mapping) else {}
        arguments = function.get("arguments")
        try:
            value = json.loads(arguments) if isinstance(arguments, str) else arguments
        except (ValueError, RecursionError):
            value = arguments
        body = json.dumps({"name": function.get("name"), "arguments": value}, ensure_ascii=False)
        shown.append(f"{OPENING}{body.replace('<', chr(92) + 'u003c')}{CLOSING}")
    return "\n".join(shown)


def read(text: str) -> tuple[str, list[dict[str, Any]]] | None:
    """The text before the calls that it ends with, and the calls; None where it doesn't end with any, or with broken ones."""
    calls: list[dict[str, Any]] = []
    rest = text.rstrip()
    while rest.endswith(CLOSING):
        before, opening, body = rest.removesuffix(CLOSING).rpartition(OPENING)
        if not opening:
            return None
        try:
            call = json.loads(body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            return None
        calls.insert(0, call)
        rest = before.rstrip()
    return (rest, calls) if calls else None
