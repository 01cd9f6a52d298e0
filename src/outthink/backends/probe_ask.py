"""What the checks of a probe share: a finding, and tiny requests written by hand. What is checked lives beside it.

The requests are not those of the backend on purpose: a probe looks at fields of the raw reply that the backend hides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from outthink.backends.openai import OpenAIBackend
from outthink.backends.openai.decode import NO_COUNTS, Unreadable, choices_of, counts_of, json_of
from outthink.backends.openai.failures import error_in, failure
from outthink.backends.sse import Event
from outthink.core.errors import BackendError, Lost, Refused

__all__ = ["Ask", "Finding", "Reply", "Verdict"]

Verdict = Literal["yes", "no", "emulated", "unknown"]

ATTEMPTS = 3
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one feature. `yes` means that it was seen to work, never that a field was accepted.

    evidence: what was seen, in one sentence
    most:     how many, for features that are counted (n, logprobs); else 0
    """

    feature: str
    verdict: Verdict
    evidence: str
    most: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply as the server gave it. choices: by index; prompt, completion, cached: tokens, None or 0 where not reported."""

    answer: Mapping[str, Any]
    choices: tuple[Mapping[str, Any], ...]
    prompt: int | None
    completion: int | None
    cached: int

    @property
    def text(self) -> str:
        """The text of the first choice; "" where there is none."""
        return text_of(self.choices[0]) if self.choices else ""

    @property
    def finish(self) -> object:
        """The finish reason of the first choice."""
        return self.choices[0].get("finish_reason") if self.choices else None


def text_of(choice: Mapping[str, Any]) -> str:
    """The text of a whole choice, or of a streamed piece of one; "" where there is none."""
    source = next((choice[name] for name in ("message", "delta") if isinstance(choice.get(name), dict)), choice)
    text = source.get("content", source.get("text"))
    return text if isinstance(text, str) else ""


class Ask:
    """Sends tiny requests to one opened backend's server. A refused or lost one is tried again, twice."""

    def __init__(self, backend: OpenAIBackend) -> None:
        self.backend = backend
        self.engine = backend.engine
        self._greedy: dict[str, Reply] = {}

    def body(self, chat: bool, **fields: Any) -> bytes:
        """A body with every sampler off, and these fields."""
        sampler = {word: _OFF[name] for name, word in self.engine.settings.items() if name in self.engine.states}
        sampler |= {self.engine.settings[name]: off for name, off in self.engine.off.items() if name in self.engine.states}
        if chat and "max_tokens" in fields:
            fields[self.engine.chat_limit] = fields.pop("max_tokens")
        return json.dumps({"model": self.backend.model, **self.engine.constants, **sampler, **fields}).encode()

    async def greedy(self, user: str) -> Reply:
        """The answer of 24 tokens at temperature 0, asked for once."""
        if user not in self._greedy:
            self._greedy[user] = await self.chat(user, max_tokens=24, temperature=0)
        return self._greedy[user]

    async def chat(self, user: str, **fields: Any) -> Reply:
        """One user turn."""
        return await self.send("/chat/completions", self.body(True, messages=[_user(user)], **fields))

    async def continued(self, user: str, begun: str, *, told: bool, **fields: Any) -> Reply:
        """A chat whose last turn is the assistant's; `told`: with the engine's fields for continuing it."""
        more = dict(_OPEN_TURN if self.engine.continuation is None else self.engine.continuation) if told else {}
        messages = [_user(user), {"role": "assistant", "content": begun}]
        return await self.send("/chat/completions", self.body(True, messages=messages, **more, **fields))

    async def raw(self, prompt: str, **fields: Any) -> Reply:
        """Raw text."""
        return await self.send("/completions", self.body(False, prompt=prompt, **fields))

    async def send(self, path: str, body: bytes) -> Reply:
        """A reply with at least one choice. Raises BackendError, Unreadable."""
        for attempt in range(ATTEMPTS):
            try:
                reply = self._reply(json_of(await self.backend.wire.post(path, body, SECONDS)))
                if not reply.choices:
                    raise Unreadable("the reply holds no choices")
                return reply
            except (Refused, Lost, Unreadable):
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    async def streamed(self, user: str, most: int | None, **fields: Any) -> list[Reply]:
        """The events of a streamed chat that hold text, until `most` of them came or it ended."""
        replies: list[Reply] = []

        def take(event: Event) -> bool:
            if event.data != b"[DONE]":
                reply = self._reply(json_of(event.data))
                if reply.text:
                    replies.append(reply)
            return most is not None and len(replies) >= most

        body = self.body(True, messages=[_user(user)], stream=True, **fields)
        await self.backend.wire.stream("/chat/completions", body, SECONDS, take)
        return replies

    def _reply(self, answer: dict[str, Any]) -> Reply:
        if (error := error_in(answer)) is not None:
            raise failure(self.backend.wire.where, *error, hide=self.backend.wire.hide)
        prompt, completion, cached, _ = counts_of(answer) if "usage" in answer else NO_COUNTS
        return Reply(answer, tuple(choice for _, choice in choices_of(answer, 128)), prompt, completion, cached)


_OFF: Mapping[str, float] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repeat_penalty": 1.0,
}
_OPEN_TURN: Mapping[str, object] = {"continue_final_message": True, "add_generation_prompt": False}
FAILURES = (BackendError, Unreadable)


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}
