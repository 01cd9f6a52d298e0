"""/v1/completions: reads OpenAI's older requests, for raw text, and writes their answers, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from outthink.core.backend import Delta
from outthink.core.prompt import Prompt
from outthink.gateway import known
from outthink.gateway.body import Fields
from outthink.gateway.messages import text_of_extra
from outthink.gateway.preparing import Arrival, Form, Ready, begun, note_of, prepared
from outthink.gateway.refusal import Refusal
from outthink.gateway.reply import Outcome, encoded, event, split

DEFAULT_TOKENS = 16
"""Of this protocol, where the client gives no max_tokens."""


class CompletionWriter:
    """Writes `text_completion`, whole and in chunks."""

    def __init__(self, arrival: Arrival, ready: Ready, *, usage: bool, top: int | None) -> None:
        self._ready, self._usage, self._top = ready, usage, top
        self._head = {
            "id": f"cmpl-{arrival.id}",
            "object": "text_completion",
            "created": arrival.created,
            "model": ready.chosen.called,
        }
        self._before = b"data: " + encoded(self._head)[:-1] + b',"choices":['
        self._after = b'],"usage":null}\n\n' if usage else b"]}\n\n"

    def whole(self, outcome: Outcome) -> dict[str, Any]:
        """The body of a whole answer."""
        choices = [
            {
                "index": index,
                "text": answer.text or "",
                "logprobs": self._logprobs(answer.logprobs),
                "finish_reason": answer.finish,
            }
            for index, answer in enumerate(outcome.answers)
        ]
        note = note_of(self._ready, outcome)
        return {**self._head, "choices": choices, "usage": outcome.counting.usage(), "outthink": note}

    def _logprobs(self, found: Any) -> Any:
        """As many alternatives as the client asked for, the most probable; the strategy may have wanted more, or all of them."""
        if self._top is None or not isinstance(found, dict):
            return None
        rows = found.get("top_logprobs")
        if not isinstance(rows, list):
            return found
        return {**found, "top_logprobs": [_cut(row, self._top) for row in rows] if self._top else None}

    def _chunk(self, index: int, text: str, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
        return self._before + encoded(choice) + self._after

    def begin(self) -> bytes:
        """Nothing stands before the text."""
        return b""

    def piece(self, index: int, delta: Delta) -> bytes:
        """A piece of text."""
        logprobs = self._logprobs(delta.wire.get("logprobs")) if delta.wire is not None else None
        return self._chunk(index, delta.text, logprobs=logprobs) if delta.text else b""

    def thought(self, text: str) -> bytes:
        """This protocol has no place for reasoning: a comment."""
        return f": {text.strip()}\n\n".encode()

    def end(self, outcome: Outcome, begun: frozenset[int]) -> Iterator[bytes]:
        """The answers that weren't streamed, the ends of all, and the usage."""
        for index, answer in enumerate(outcome.answers):
            if index not in begun:
                if (logprobs := self._logprobs(answer.logprobs)) is not None:
                    yield self._chunk(index, answer.text or "", logprobs=logprobs)
                else:
                    yield from (self._chunk(index, part) for part in split(answer.text or ""))
        chunk = {**self._head} | ({"usage": None} if self._usage else {})
        for index, answer in enumerate(outcome.answers):  # each in a chunk of its own, as in chats
            end = {"index": index, "text": "", "logprobs": None, "finish_reason": answer.finish}
            note = {"outthink": note_of(self._ready, outcome)} if index == len(outcome.answers) - 1 else {}
            yield event(chunk | {"choices": [end]} | note)
        if self._usage:
            yield event(chunk | {"choices": [], "usage": outcome.counting.usage()})
        yield b"data: [DONE]\n\n"

    def failed(self, refusal: Refusal) -> bytes:
        """An error inside of a stream, and no [DONE]."""
        return event(refusal.document())


def _cut(row: object, top: int) -> object:
    """The most probable alternatives of a token, by their texts."""
    if not isinstance(row, dict) or len(row) <= top:
        return row
    told = {text: value for text, value in row.items() if isinstance(value, (int, float))}
    return dict(sorted(told.items(), key=lambda each: -each[1])[:top])


def read_completion(arrival: Arrival, body: Mapping[str, Any]) -> tuple[Ready, CompletionWriter]:
    """What a body asks for. Raises Refusal, UsageError."""
    fields = Fields(body)
    chosen = begun(arrival, fields)
    text = _text(fields)
    stream = fields.truth("stream")
    usage = Fields(fields.table("stream_options") or {}, "stream_options").truth("include_usage")
    strategy = chosen.choice.strategy
    assert strategy is not None
    suffix, echo = fields.text("suffix", 1 << 22), fields.truth("echo")
    best_of = fields.whole("best_of", 1, 128) or 1
    if echo and (strategy.name != "single" or best_of > 1):
        raise fields.refuse("echo", "left out: the prompt is echoed by the strategy single only, without best_of")
    fields.left |= {name: value for name, value in (("suffix", suffix), ("echo", echo)) if value}
    if best_of > 1:
        if strategy.name != "single":
            raise fields.refuse("best_of", f"left out: it is a strategy of its own, and {strategy.name} is asked for too")
        # What OpenAI documents: the samples with the highest log-probability per token.
        best = replace(chosen.choice, strategy=known.strategy("best_of_n"))
        chosen = replace(chosen, choice=best, parameters={"n": best_of}, samples=best_of, verifier="mean_logprob")
    logprobs = fields.whole("logprobs", 0, 20)
    if logprobs is not None:
        fields.left["logprobs"] = logprobs
    fields.left.setdefault("max_tokens", DEFAULT_TOKENS)
    form = Form("completions", lambda extra: Prompt(text=text, extra=text_of_extra(extra)))
    ready = prepared(arrival, fields, chosen, form, stream=stream)
    return ready, CompletionWriter(arrival, ready, usage=usage, top=logprobs)


def _text(fields: Fields) -> str:
    prompt = fields.take("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise fields.refuse("prompt", "one text (token ids and several prompts in one request are not read)")
    return prompt
