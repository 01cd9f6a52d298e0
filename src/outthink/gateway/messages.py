"""A client's chat messages as a prompt, unchanged, and as the text of a problem, for judges and journals.

Whatever author and text don't say (pictures, tool calls, names) goes through as the client wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from outthink.core.calls import written
from outthink.core.problem import Problem
from outthink.core.prompt import Author, Message, Prompt
from outthink.gateway.refusal import Refusal

AUTHORS = frozenset({*get_args(Author), "function"})
MOST = 10_000


def prompt_of(messages: object, extra: Mapping[str, Any]) -> Prompt:
    """The prompt of a chat. Raises Refusal (400)."""
    if not isinstance(messages, list) or not messages or len(messages) > MOST:
        raise _refusal("messages", f"a list of 1 to {MOST} messages")
    turns = tuple(_message(message, at) for at, message in enumerate(messages))
    return Prompt(messages=turns, extra=text_of_extra(extra))


def text_of_extra(extra: Mapping[str, Any]) -> str:
    """Further fields as a prompt carries them."""
    return json.dumps(extra, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if extra else ""


def _message(message: object, at: int) -> Message:
    if not isinstance(message, dict):
        raise _refusal(f"messages[{at}]", "an object with role and content")
    role = message.get("role")
    if not isinstance(role, str) or role not in AUTHORS:
        raise _refusal(f"messages[{at}].role", "one of: " + ", ".join(sorted(AUTHORS)))
    content = message.get("content")
    if isinstance(content, str) and len(message) == 2 and role in ("system", "user", "assistant"):
        return Message(cast(Author, role), content)
    text = _text(content, f"messages[{at}].content")
    called = message.get("tool_calls")
    if called is not None:
        if not isinstance(called, list) or not all(isinstance(call, dict) for call in called):
            raise _refusal(f"messages[{at}].tool_calls", "a list of objects")
        text = written(text, called)
    elif content is None and role != "assistant":
        raise _refusal(f"messages[{at}].content", "a text or a list of parts")
    author = cast(Author, role if role != "function" else "tool")
    return Message(author, text, json.dumps(message, ensure_ascii=False, separators=(",", ":")))


def _text(content: object, where: str) -> str:
    """What of a content can be read; pictures and the like are named."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list) or not content:
        raise _refusal(where, "a text or a list of parts")
    shown: list[str] = []
    for at, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise _refusal(f"{where}[{at}]", "an object with a type")
        text = part.get("text", part.get("refusal"))
        shown.append(text if isinstance(text, str) else f"[{part['type'].removeprefix('input_').removesuffix('_url')}]")
    return "".join(shown)


def problem_of(prompt: Prompt, name: str = "") -> Problem:
    """What is asked, for whoever must read it: the only user's turn, or the whole conversation with its authors."""
    if prompt.text is not None:
        return Problem(prompt.text if prompt.text.strip() else "(an empty text)", id=name)
    turns: Sequence[Message] = prompt.messages
    said = [turn for turn in turns if turn.author in ("user", "assistant", "tool")] or list(turns)
    text = said[0].content if len(said) == 1 else "\n\n".join(f"{turn.author.capitalize()}: {turn.content}" for turn in said)
    return Problem(text if text.strip() else "(an empty conversation)", id=name)


def _refusal(field: str, must: str) -> Refusal:
    return Refusal(400, f"{field} must be {must}", code="invalid_value", param=field)
