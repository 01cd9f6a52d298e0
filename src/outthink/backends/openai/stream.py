"""From the events of one stream to deltas and a completion. No network here."""

from __future__ import annotations

from array import array
from typing import Any

from outthink.backends.openai.decode import (
    NO_COUNTS,
    choices_of,
    counts_of,
    finish_of,
    first_token_of,
    hidden_of,
    json_of,
    logprobs_of,
    why_failed,
)
from outthink.backends.openai.failures import error_in
from outthink.backends.sse import Event
from outthink.core.backend import Completion, Delta, Piece, Request
from outthink.core.logprobs import Logprobs
from outthink.core.sample import Finish

__all__ = ["ErrorEvent", "StreamReader"]


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
        if not text and logprobs is None and self.tokens == before:
            return None  # hidden reasoning is no text, but whoever leaves must know that it was paid
        return Delta(text, self.tokens - before, logprobs, self.exact)

    def completion(self, cancelled: bool) -> Completion:
        """Everything that arrived; `cancelled` says that we left before the end."""
        text: str | None = "".join(self._texts)
        need = self._request.logprobs
        hidden = "".join(self._hidden)
        if not self._said_text and not hidden and self.tokens > 1:
            text = None
        logprobs = None
        if need is not None and not self._lacks_logprobs:
            logprobs = Logprobs(self._chosen, self._top, need.top, self._vocabulary)
        finish = Finish.CANCELLED if cancelled else self._finish
        failed = why_failed(text, finish, self._request, logprobs)
        meta: dict[str, object] = {"reasoning": hidden} if hidden else {}
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
        return text, logprobs, bool(text or hidden)

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
