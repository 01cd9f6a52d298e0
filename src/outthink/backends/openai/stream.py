"""From the events of one stream to deltas and a completion. No network here."""

from __future__ import annotations

from array import array
from typing import Any

from outthink.backends.openai.decode import (
    NO_COUNTS,
    calls_of,
    choices_of,
    counts_of,
    finish_of,
    first_token_of,
    hidden_of,
    json_of,
    kept_of,
    logprobs_of,
    text_with_calls,
    why_failed,
)
from outthink.backends.openai.failures import error_in
from outthink.backends.sse import Event
from outthink.core.backend import Completion, Delta, Piece, Request
from outthink.core.logprobs import Logprobs
from outthink.core.sample import Finish

__all__ = ["ErrorEvent", "StreamReader"]


MOST_CALLS = 1024


class ErrorEvent(Exception):
    """The server reported an error inside a stream. `code` is an HTTP status."""

    def __init__(self, code: int, error: object) -> None:
        super().__init__(code)
        self.code, self.error = code, error


class StreamReader:
    """Reads one sample from a stream.

    tokens: completion tokens so far: exact where the server counts (usage or timings in each event, or log-probabilities) or
            is known to send them `one_by_one`, else one for each event with text, which is a lower bound
    exact:  which of the two it is
    seen:   there was a choice at all
    ended:  the server gave a finish reason or [DONE]; False at the end of a stream means that it broke
    """

    def __init__(self, request: Request, chat: bool, vocabulary: int = 0, one_by_one: bool = False) -> None:
        self._request, self._chat, self._vocabulary = request, chat, vocabulary
        self._one_by_one = one_by_one
        self._texts: list[str] = []
        self._hidden: list[str] = []
        self._kept: dict[str, Any] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._rows: list[Any] = []  # log-probabilities as the server wrote them, where the request itself asks for them
        self._said_text = False  # some event had a text, even an empty one
        self._finish = Finish.OTHER
        self._chosen, self._top = array("d"), array("d")
        self._lacks_logprobs = False
        self._first: dict[str, float] = {}
        self._counts = NO_COUNTS
        self.tokens = 0
        self.prompt_tokens: int | None = None
        self.exact = False
        self.seen = self.ended = False
        self._shown = 0  # events with text or reasoning: at least one token each

    def read(self, event: Event) -> Delta | None:
        """What an event adds, or None. Raises Unreadable for a broken event and ErrorEvent for an error."""
        if event.data == b"[DONE]":
            self.ended = True
            return None
        answer = json_of(event.data)
        if (error := error_in({"error": answer} if event.name == b"error" else answer)) is not None:
            raise ErrorEvent(*error)
        choices = choices_of(answer, 1)
        self.seen = self.seen or bool(choices)
        text, logprobs, some = self._delta(choices[0][1]) if choices else ("", None, False)
        before = self.tokens
        self._count(answer, logprobs, some)
        wire = choices[0][1] if choices else None
        if not text and logprobs is None and self.tokens == before and not _says(wire):
            return None  # hidden reasoning is no text, but whoever leaves must know that it was paid
        return Delta(text, self.tokens - before, logprobs, self.exact, wire)

    def completion(self, cancelled: bool) -> Completion:
        """Everything that arrived; `cancelled` says that we left before the end."""
        text: str | None = "".join(self._texts)
        need = self._request.logprobs
        hidden = "".join(self._hidden)
        if not self.seen or (not self._said_text and not hidden and self.tokens > 1):
            text = None
        if self._calls:
            self._kept["tool_calls"] = [self._calls[at] for at in sorted(self._calls)]
        meta = kept_of(self._kept, self._chat)
        whole = text_with_calls(text or None, meta)
        text = whole if type(whole) is str else text
        logprobs = None
        if need is not None and not self._lacks_logprobs:
            logprobs = Logprobs(self._chosen, self._top, need.top, self._vocabulary)
        finish = Finish.CANCELLED if cancelled else self._finish
        failed = why_failed(text, finish, self._request, logprobs)
        if hidden:
            meta["reasoning"] = hidden
        if self._rows:
            meta["logprobs"] = {"content": self._rows}
        if need is not None and need.first:
            meta["first_token"] = self._first
        tokens = self.tokens if self.exact else None
        piece = Piece(text if failed is None and text else "", finish, tokens, logprobs, failed=failed, meta=meta)
        _, _, cached, reasoning = self._counts
        return Completion((piece,), self.prompt_tokens, tokens, cached, reasoning)

    def _delta(self, choice: dict[str, Any]) -> tuple[str, Logprobs | None, bool]:
        """Text and log-probabilities of one event, and whether it holds any token at all."""
        source: Any = choice.get("delta", choice.get("message")) if self._chat else choice  # message: it can't stream
        source = source if type(source) is dict else {}
        text = source.get("content" if self._chat else "text")
        if type(text) is str:
            self._said_text = True
            if text:
                self._texts.append(text)
        else:
            text = ""
        if hidden := hidden_of(source):
            self._hidden.append(hidden)
        some = bool(text or hidden or self._keep(source))
        if self._request.prompt.extra and type(found := choice.get("logprobs")) is dict and type(found.get("content")) is list:
            self._rows += found["content"]
        if choice.get("finish_reason") is not None:
            self._finish = finish_of(choice, self._request.sampling)
            self.ended = True
        logprobs = None
        if self._request.logprobs is not None:
            logprobs = logprobs_of(choice.get("logprobs"), self._request.logprobs.top, self._vocabulary)
            if logprobs is not None:
                if self._request.logprobs.first and not self._chosen:
                    self._first = first_token_of(choice.get("logprobs"))
                self._chosen += logprobs.chosen
                self._top += logprobs.top
            elif text:
                self._lacks_logprobs = True
        return text, logprobs, some

    def _keep(self, source: dict[str, Any]) -> bool:
        """Gather what a delta holds beside its text; whether that is part of a tool call."""
        if not self._chat:
            return False
        for name, value in source.items():
            if name not in ("content", "role", "tool_calls", "reasoning_content", "reasoning") and value:
                old = self._kept.get(name)
                joins = type(old) is type(value) and isinstance(value, str | list)
                self._kept[name] = old + value if joins else value
        calls = calls_of(source)
        for at, call in enumerate(calls):
            index = call.get("index", at)
            if type(index) is int and 0 <= index < MOST_CALLS:
                _join(self._calls.setdefault(index, {}), {key: part for key, part in call.items() if key != "index"})
        return bool(calls)

    def _count(self, answer: dict[str, Any], logprobs: Logprobs | None, some: bool) -> None:
        counts = counts_of(answer)
        if counts[0] is not None or counts[1] is not None:
            self._counts = counts
            self.prompt_tokens = counts[0]
        timings = answer.get("timings")  # llama.cpp
        if type(timings) is dict and self.prompt_tokens is None:
            prompt = (timings.get("cache_n"), timings.get("prompt_n"))
            self.prompt_tokens = sum(n for n in prompt if type(n) is int) if type(prompt[1]) is int else None
        total = counts[1] if counts[1] is not None else timings.get("predicted_n") if type(timings) is dict else None
        self._shown += len(logprobs) if logprobs is not None else some
        if type(total) is int and total >= 0:
            self.tokens, self.exact = max(total, self._shown), True
        elif logprobs is not None and not self._hidden:
            self.tokens, self.exact = max(self.tokens, self._shown), True
        elif some:
            self.tokens, self.exact = max(self.tokens, self._shown), self._one_by_one


def _says(choice: dict[str, Any] | None) -> bool:
    """Whether the delta of a chat holds anything but the author."""
    delta = choice.get("delta") if choice is not None else None
    return type(delta) is dict and any(value for name, value in delta.items() if name != "role")


def _join(call: dict[str, Any], part: dict[str, Any]) -> None:
    """Add what an event says of a tool call. Names and arguments may come in pieces, ids and kinds don't."""
    for key, value in part.items():
        old = call.get(key)
        if type(value) is dict and type(old) is dict:
            _join(old, value)
        elif key in ("arguments", "name", "input") and type(value) is str and type(old) is str:
            call[key] = old + value
        elif value is not None:
            call[key] = dict(value) if type(value) is dict else value
