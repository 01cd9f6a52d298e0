"""From the input of a responses request to chat messages and a chat's fields. What can't be said in a chat is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outthink.gateway.body import Fields
from outthink.gateway.messages import AUTHORS
from outthink.gateway.refusal import Refusal
from outthink.gateway.settings import MOST

_PARTS = {"input_text": "text", "output_text": "text", "text": "text"}
_IGNORED = ("store", "truncation", "metadata", "prompt_cache_key", "safety_identifier", "background")
_LOGPROBS = "message.output_text.logprobs"


def messages_of(fields: Fields) -> list[dict[str, Any]]:
    """The messages of `instructions` and `input`. Raises Refusal."""
    for name in ("previous_response_id", "conversation", "prompt"):
        if fields.take(name) is not None:
            raise fields.refuse(name, "left out: nothing is stored here; send the whole conversation as input")
    if fields.left.get("background") is True:
        raise fields.refuse("background", "false: nothing is stored here")
    found = fields.take("input")
    instructions = fields.text("instructions", 1 << 22)
    head = [{"role": "system", "content": instructions}] if instructions else []
    if isinstance(found, str):
        return [*head, {"role": "user", "content": found}]
    if not isinstance(found, list) or not found:
        raise fields.refuse("input", "a text or a list of items")
    messages: list[dict[str, Any]] = head
    for at, item in enumerate(found):
        if not isinstance(item, dict):
            raise _refusal(f"input[{at}]", "an object")
        _add(messages, item, f"input[{at}]")
    return messages


def _add(messages: list[dict[str, Any]], item: Mapping[str, Any], where: str) -> None:
    match item.get("type", "message"):
        case "message":
            role = item.get("role")
            if not isinstance(role, str) or role not in AUTHORS:
                raise _refusal(f"{where}.role", "one of: " + ", ".join(sorted(AUTHORS)))
            content = item.get("content")
            content = content if isinstance(content, str) else _content(content, f"{where}.content")
            messages.append({"role": item.get("role"), "content": content})
        case "function_call":
            function = {name: _text(item, name, where) for name in ("name", "arguments")}
            call = {"id": _text(item, "call_id", where), "type": "function", "function": function}
            if messages and messages[-1].get("role") == "assistant":
                messages[-1].setdefault("tool_calls", []).append(call)
            else:
                messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
        case "function_call_output":
            output = item.get("output")
            text = output if isinstance(output, str) else _content(output, f"{where}.output")
            messages.append({"role": "tool", "tool_call_id": _text(item, "call_id", where), "content": text})
        case "reasoning":
            pass  # a model's server doesn't take back what it thought
        case kind:
            raise _refusal(f"{where}.type", f"message, function_call, function_call_output or reasoning, not {str(kind)[:50]!r}")


def _content(content: object, where: str) -> list[dict[str, Any]]:
    if not isinstance(content, list) or not content:
        raise _refusal(where, "a text or a list of parts")
    parts: list[dict[str, Any]] = []
    for at, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(kind, str) and kind in _PARTS:
            parts.append({"type": "text", "text": _text(part, "text", f"{where}[{at}]")})
        elif kind == "refusal":
            parts.append({"type": "refusal", "refusal": _text(part, "refusal", f"{where}[{at}]")})
        elif kind == "input_image" and isinstance(part.get("image_url"), str):
            picture = {"url": part["image_url"]}
            parts.append({"type": "image_url", "image_url": picture | ({"detail": part["detail"]} if part.get("detail") else {})})
        elif kind == "input_file" and part.get("file_data") is not None:
            parts.append({"type": "file", "file": {name: value for name, value in part.items() if name != "type"}})
        else:
            raise _refusal(f"{where}[{at}]", "an input_text, input_image with image_url, or input_file with file_data")
    return parts


def _text(item: Mapping[str, Any], name: str, where: str) -> str:
    if not isinstance(found := item.get(name), str):
        raise _refusal(f"{where}.{name}", "a text")
    return found


def settings_from(fields: Fields) -> int | None:
    """Turn the rest of the fields into those of a chat; how many alternatives are wanted for each token of the answer, or None.

    Raises Refusal.
    """
    for name in _IGNORED:
        fields.take(name)
    fields.table("stream_options")
    if fields.take("n") not in (None, 1):
        raise fields.refuse("n", "left out; a response is one answer")
    if (most := fields.whole("max_output_tokens", 1, MOST)) is not None:
        fields.left["max_tokens"] = most
    _format(fields)
    if (effort := Fields(fields.table("reasoning") or {}, "reasoning").text("effort")) is not None:
        fields.left["reasoning_effort"] = effort
    top = fields.whole("top_logprobs", 0, 20)
    if _LOGPROBS in (fields.rows("include") or ()):
        top = top or 0
    if top is not None:
        fields.left |= {"logprobs": True, "top_logprobs": top}
    if (tools := fields.rows("tools")) is not None:
        fields.left["tools"] = [_tool(tool, at) for at, tool in enumerate(tools)]
    if isinstance(choice := fields.left.get("tool_choice"), dict):
        fields.left["tool_choice"] = _choice(choice)
    return top


def _format(fields: Fields) -> None:
    """Of the answer's text."""
    if "response_format" in fields.given:
        raise fields.refuse("response_format", "left out; this protocol calls it text.format")
    text = Fields(fields.table("text") or {}, "text")
    if (form := text.table("format")) is not None and form.get("type") != "text":
        schema = {name: value for name, value in form.items() if name != "type"}
        kind = form.get("type")
        if kind not in ("json_schema", "json_object"):
            raise text.refuse("format.type", "text, json_object or json_schema")
        fields.left["response_format"] = {"type": kind} | ({"json_schema": schema} if kind == "json_schema" else {})
    if (verbosity := text.take("verbosity")) is not None:
        fields.left["verbosity"] = verbosity


def _choice(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice of tools as a chat has it."""
    listed = choice.get("tools")
    if choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    if choice.get("type") == "allowed_tools" and isinstance(listed, list):
        tools = [_choice(tool) if isinstance(tool, dict) else tool for tool in listed]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode"), "tools": tools}}
    return choice


def _tool(tool: object, at: int) -> dict[str, Any]:
    if not isinstance(tool, dict):
        raise _refusal(f"tools[{at}]", "an object")
    if tool.get("type") != "function":
        raise _refusal(f"tools[{at}].type", "function; tools that OpenAI runs itself are not here")
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _refusal(field: str, must: str) -> Refusal:
    return Refusal(400, f"{field} must be {must}", code="invalid_value", param=field)
