"""What is sent to a model, before any wire format: messages or raw text, and an open prefix to continue from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from outthink.core.errors import BadInput
from outthink.core.plain import PLAIN

Author = Literal["system", "developer", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat.

    content: its text
    wire:    the turn as a client wrote it, the text of a JSON object, where author and text don't say it all (images, tool
             calls, names); "" where they do. Backends that speak OpenAI's protocol send this, others refuse it
    """

    author: Author
    content: str
    wire: str = ""

    def with_more(self, text: str) -> Message:
        """The turn with more text at its end."""
        if not self.wire:
            return replace(self, content=self.content + text)
        turn: dict[str, Any] = json.loads(self.wire)
        old = turn.get("content")
        turn["content"] = [*old, {"type": "text", "text": text}] if isinstance(old, list) else (old or "") + text
        return replace(self, content=self.content + text, wire=json.dumps(turn, ensure_ascii=False))

    def fields(self) -> list[str]:
        """Plain JSON, the same for equal turns."""
        return [self.author, self.content, self.wire] if self.wire else [self.author, self.content]


@dataclass(frozen=True, slots=True)
class Prompt:
    """Either a chat (`messages`) or raw text (`text`), never both.

    prefix: text of the answer that is already there; the model continues it (an open assistant turn in a chat).
    extra:  further fields of the request (tools, response_format, ...), the text of a JSON object. A null leaves a setting out
            that would be stated otherwise, so that the server's own default holds; "" is none. They are as opaque as `wire`
    """

    messages: tuple[Message, ...] = ()
    text: str | None = None
    prefix: str = ""
    extra: str = ""

    def __post_init__(self) -> None:
        if (self.text is None) == (not self.messages):
            raise BadInput("a prompt is either messages or a text, and not empty", where="prompt")

    @classmethod
    def chat(cls, user: str, *, system: str = "", prefix: str = "") -> Prompt:
        """A chat of one user turn, after an optional system turn."""
        head = (Message("system", system),) if system else ()
        return cls(messages=(*head, Message("user", user)), prefix=prefix)

    @classmethod
    def raw(cls, text: str, *, prefix: str = "") -> Prompt:
        """Raw text that the model completes; no chat template is applied."""
        return cls(text=text, prefix=prefix)

    @classmethod
    def of_fields(cls, fields: Sequence[Any]) -> Prompt:
        """The prompt whose `fields` these are. Raises ValueError or TypeError where they are no prompt's."""
        kind, said, prefix, *extra = fields
        if kind == "raw":
            return cls(text=said, prefix=prefix, extra=extra[0] if extra else "")
        return cls(tuple(Message(*turn) for turn in said), prefix=prefix, extra=extra[0] if extra else "")

    def then(self, *turns: Message) -> Prompt:
        """The chat with more turns after it; an open prefix is closed into an assistant turn first."""
        if self.text is not None:
            raise BadInput("a raw prompt has no turns to add to", where="prompt")
        closed = (Message("assistant", self.prefix),) if self.prefix else ()
        return replace(self, messages=(*self.messages, *closed, *turns), prefix="")

    def continued(self, text: str) -> Prompt:
        """The prompt whose answer already begins with the old prefix and `text`."""
        return Prompt(self.messages, self.text, self.prefix + text, self.extra)

    def digest(self) -> str:
        """A short fingerprint of all but the prefix: what recordings keep of a prompt, enough to refuse another one."""
        return _digest(self.messages, self.text, self.extra)

    def fields(self) -> list[object]:
        """Plain JSON, the same for equal prompts: what fingerprints are made of."""
        extra = [self.extra] if self.extra else []
        if self.text is not None:
            return ["raw", self.text, self.prefix, *extra]
        return ["chat", [message.fields() for message in self.messages], self.prefix, *extra]

    def plain(self) -> str:
        """`fields` as text."""
        extra = f",{PLAIN.encode(self.extra)}" if self.extra else ""
        return f"{_before_prefix(self.messages, self.text)},{PLAIN.encode(self.prefix)}{extra}]"


# Both are kept, since the steps of a search ask with the same prompt again and again, each time with another prefix.


@lru_cache(maxsize=256)
def _digest(messages: tuple[Message, ...], text: str | None, extra: str) -> str:
    plain = Prompt(messages, text, "", extra).plain()
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@lru_cache(maxsize=256)
def _before_prefix(messages: tuple[Message, ...], text: str | None) -> str:
    return PLAIN.encode(["raw", text] if text is not None else ["chat", [message.fields() for message in messages]])[:-1]
