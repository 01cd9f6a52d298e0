"""What is sent to a model, before any wire format: messages or raw text, and an open prefix to continue from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Literal

from outthink.core.errors import BadInput

Author = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    author: Author
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """Either a chat (`messages`) or raw text (`text`), never both.

    prefix: text of the answer that is already there; the model continues it (an open assistant turn in a chat).
    """

    messages: tuple[Message, ...] = ()
    text: str | None = None
    prefix: str = ""

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

    def then(self, *turns: Message) -> Prompt:
        """The chat with more turns after it; an open prefix is closed into an assistant turn first."""
        if self.text is not None:
            raise BadInput("a raw prompt has no turns to add to", where="prompt")
        closed = (Message("assistant", self.prefix),) if self.prefix else ()
        return replace(self, messages=(*self.messages, *closed, *turns), prefix="")

    def continued(self, text: str) -> Prompt:
        """The prompt whose answer already begins with the old prefix and `text`."""
        return replace(self, prefix=self.prefix + text)

    def digest(self) -> str:
        """A short fingerprint of all but the prefix: what recordings keep of a prompt, enough to refuse another one."""
        plain = json.dumps(replace(self, prefix="").fields(), ensure_ascii=False, separators=(",", ":"))
        return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    def fields(self) -> list[object]:
        """Plain JSON, the same for equal prompts: what fingerprints are made of."""
        if self.text is not None:
            return ["raw", self.text, self.prefix]
        return ["chat", [[message.author, message.content] for message in self.messages], self.prefix]
