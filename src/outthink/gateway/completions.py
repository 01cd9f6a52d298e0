"""/v1/completions: reads OpenAI's older requests, for raw text, and writes their answers, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from outthink.core.backend import Delta
from outthink.core.errors import BadInput
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

    def __init__(self, arrival: Arrival, ready: Ready, *, usage: bool) -> None:
        self._ready, self._usage = ready, usage
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
            {"index": index, "text": answer.text or "", "logprobs": answer.logprobs, "finish_reason": answer.finish}
            for index, answer in enumerate(outcome.answers)
        ]
        note = note_of(self._ready, outcome)
        return {**self._head, "choices": choices, "usage": outcome.counting.usage(), "outthink": note}

    def _chunk(self, index: int, text: str, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}
        return self._before + encoded(choice) + self._after

    def begin(self) -> bytes:
        """Nothing stands before the text."""
        return b""

    def piece(self, index: int, delta: Delta) -> bytes:
        """A piece of text."""
        logprobs = delta.wire.get("logprobs") if delta.wire is not None else None
        return self._chunk(index, delta.text, logprobs=logprobs) if delta.text else b""

    def thought(self, text: str) -> bytes:
        """This protocol has no place for reasoning: a comment."""
        return f": {text.strip()}\n\n".encode()

    def end(self, outcome: Outcome, begun: frozenset[int]) -> Iterator[bytes]:
        """The answers that weren't streamed, the ends of all, and the usage."""
        for index, answer in enumerate(outcome.answers):
            if index not in begun:
                if answer.logprobs is not None:
                    yield self._chunk(index, answer.text or "", logprobs=answer.logprobs)
                else:
                    yield from (self._chunk(index, part) for part in split(answer.text or ""))
        ends = [
            {"index": index, "text": "", "logprobs": None, "finish_reason": answer.finish}
            for index, answer in enumerate(outcome.answers)
        ]
        chunk = {**self._head} | ({"usage": None} if self._usage else {})
        yield event(chunk | {"choices": ends, "outthink": note_of(self._ready, outcome)})
        if self._usage:
            yield event(chunk | {"choices": [], "usage": outcome.counting.usage()})
        yield b"data: [DONE]\n\n"

    def failed(self, refusal: Refusal) -> bytes:
        """An error inside of a stream, and no [DONE]."""
        return event(refusal.document())


def read_completion(arrival: Arrival, body: Mapping[str, Any]) -> tuple[Ready, CompletionWriter]:
    """What a body asks for. Raises Refusal, UsageError."""
    fields = Fields(body)
    chosen = begun(arrival, fields)
    text = _text(fields)
    stream = fields.truth("stream")
    usage = Fields(fields.table("stream_options") or {}, "stream_options").truth("include_usage")
    strategy = chosen.choice.strategy
    assert strategy is not None
    if (best_of := fields.whole("best_of", 1, 128)) is not None and best_of > 1:
        if strategy.name != "single":
            raise BadInput(f"best_of is a strategy of its own, and {strategy.name} is asked for too; keep one", where="best_of")
        # What OpenAI documents: the samples with the highest log-probability per token.
        best = replace(chosen.choice, strategy=known.strategy("best_of_n"))
        chosen = replace(chosen, choice=best, parameters={"n": best_of}, samples=best_of, verifier="mean_logprob")
    elif strategy.name != "single" and fields.left.get("echo"):
        raise BadInput("the prompt is echoed by the strategy single only", where="echo")
    logprobs = fields.whole("logprobs", 0, 20)
    if logprobs is not None:
        fields.left["logprobs"] = logprobs
    fields.left.setdefault("max_tokens", DEFAULT_TOKENS)
    form = Form("completions", lambda extra: Prompt(text=text, extra=text_of_extra(extra)))
    ready = prepared(arrival, fields, chosen, form, stream=stream)
    return ready, CompletionWriter(arrival, ready, usage=usage)


def _text(fields: Fields) -> str:
    prompt = fields.take("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], str):
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise fields.refuse("prompt", "one text (token ids and several prompts in one request are not read)")
    return prompt
