"""From a server's JSON to completions. Servers are not trusted: every field may be missing, null or absurd.

A choice that can't be used becomes a failed piece and never costs its siblings. What makes the whole reply unusable
raises `Unreadable`. No network here.
"""

from __future__ import annotations

import json
import math
from array import array
from typing import Any

from outthink.core.backend import Completion, Piece, Request
from outthink.core.calls import written
from outthink.core.logprobs import Logprobs
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling

__all__ = ["Counts", "Unreadable", "choices_of", "completion_of", "counts_of", "finish_of", "json_of", "logprobs_of"]

_LEAST, _MOST = -1e30, 1e-3  # rounding may lift a log-probability a little above 0
_MOST_TOKENS = 1 << 40


class Unreadable(ValueError):
    """The reply as a whole says nothing that can be used; the message says why."""


Counts = tuple[int | None, int | None, int, int]
"""Usage: prompt and completion tokens (None: not reported), cached and reasoning tokens (0: not reported)."""

NO_COUNTS: Counts = (None, None, 0, 0)
_FINISHES = {
    "length": Finish.LENGTH,
    "content_filter": Finish.FILTERED,
    "tool_calls": Finish.EOS,
    "function_call": Finish.EOS,
}
_TEXTUAL = frozenset({"role", "content", "reasoning_content", "reasoning"})


def json_of(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises Unreadable."""
    try:
        answer = json.loads(body.decode())
    except UnicodeDecodeError:
        raise Unreadable("the reply is not valid UTF-8") from None
    except (ValueError, RecursionError):
        raise Unreadable("the reply is not valid JSON") from None
    if not isinstance(answer, dict):
        raise Unreadable("the reply is no JSON object")
    return answer


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < _MOST_TOKENS else None


def counts_of(answer: dict[str, Any]) -> Counts:
    """The usage of a reply or of a stream's event; counts that are no natural numbers are not reported ones."""
    usage = answer.get("usage")
    if type(usage) is not dict:
        return NO_COUNTS
    prompt, cached, reasoning = _count(usage.get("prompt_tokens")), 0, 0
    if type(details := usage.get("prompt_tokens_details")) is dict:
        cached = min(_count(details.get("cached_tokens")) or 0, prompt or 0)
    completion = _count(usage.get("completion_tokens"))
    if type(details := usage.get("completion_tokens_details")) is dict:
        reasoning = min(_count(details.get("reasoning_tokens")) or 0, completion or 0)
    return prompt, completion, cached, reasoning


def choices_of(answer: dict[str, Any], count: int) -> list[tuple[int, dict[str, Any]]]:
    """The choices by index; repeated, impossible and malformed ones are left out."""
    choices = answer.get("choices")
    if type(choices) is list and len(choices) == 1 and type(choices[0]) is dict and choices[0].get("index") == 0:
        return [(0, choices[0])]
    found: dict[int, dict[str, Any]] = {}
    for at, choice in enumerate(choices if type(choices) is list else ()):
        if type(choice) is dict:
            index = choice.get("index", at)
            if type(index) is int and 0 <= index < count:
                found.setdefault(index, choice)
    return sorted(found.items())


def completion_of(answer: dict[str, Any], request: Request, chat: bool, vocabulary: int = 0, echo: str = "") -> Completion:
    """A whole reply; texts that begin with `echo` lose it. One without choices has no pieces, and a price where the server tells
    it; without one it raises Unreadable.
    """
    choices = choices_of(answer, len(request.seeds))
    prompt, completion, cached, reasoning = counts_of(answer)
    if not choices and completion is None:
        raise Unreadable("the reply holds no choices")
    only = len(request.seeds) == 1
    pieces = tuple(_piece(choice, request, chat, completion if only else None, vocabulary, echo) for _, choice in choices)
    if completion is not None:  # a server that reports fewer tokens than it shows is not believed
        completion = max(completion, sum(len(piece.logprobs) for piece in pieces if piece.logprobs is not None))
    return Completion(pieces, prompt, completion, cached, reasoning)


def _piece(choice: dict[str, Any], request: Request, chat: bool, tokens: int | None, vocabulary: int, echo: str) -> Piece:
    source: Any = choice.get("message") if chat else choice
    source = source if type(source) is dict else {}
    text = source.get("content" if chat else "text")
    hidden, meta = hidden_of(source), kept_of(source, chat)
    text = text_with_calls(text, meta)
    finish = finish_of(choice, request.sampling)
    logprobs = None
    if request.logprobs is not None:
        logprobs = logprobs_of(choice.get("logprobs"), request.logprobs.top, vocabulary)
        if logprobs is not None and (tokens is None or tokens < len(logprobs)):
            tokens = len(logprobs) if tokens is not None or not hidden else None
    if text is None and hidden and finish is Finish.LENGTH:
        text = ""  # all tokens went into reasoning: a real sample without an answer
    failed = why_failed(text, finish, request, logprobs)
    if echo and type(text) is str:
        text = text.removeprefix(echo)
    if hidden:
        meta["reasoning"] = hidden
    if request.prompt.extra and type(choice.get("logprobs")) is dict:
        meta["logprobs"] = choice["logprobs"]
    if request.logprobs is not None and request.logprobs.first:
        meta["first_token"] = first_token_of(choice.get("logprobs"))
    return Piece(text if failed is None else "", finish, tokens, logprobs, failed=failed, meta=meta)


def kept_of(source: dict[str, Any], chat: bool) -> dict[str, Any]:
    """What a message holds beside its text (tool calls, a refusal, citations, ...): {"message": ...}, or nothing."""
    kept = {name: value for name, value in source.items() if chat and value and name not in _TEXTUAL and is_plain(value)}
    if not calls_of(kept):
        kept.pop("tool_calls", None)
    return {"message": kept} if kept else {}


def calls_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool calls of a message; nothing where their form is no tool call's."""
    calls = message.get("tool_calls")
    if type(calls) is not list or not all(type(call) is dict for call in calls):
        return []
    return calls


def text_with_calls(text: object, meta: dict[str, Any]) -> object:
    """The text of a sample: that of its message, and its tool calls after it. The message's own text is kept in `meta`."""
    message = meta.get("message", {})
    calls = calls_of(message)
    if type(old := message.get("function_call")) is dict:
        calls = [{"function": old}]
    if not calls or not (text is None or type(text) is str):
        return text if text is not None or "refusal" not in message else message["refusal"]
    message["content"] = text
    return written(text or "", calls)


def is_plain(value: object) -> bool:
    """Whether a value is Unicode throughout, so that it can be passed on and kept."""
    try:
        return is_unicode(json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return False


def why_failed(text: object, finish: Finish, request: Request, logprobs: Logprobs | None) -> str | None:
    """Why a sample can't be used, or None."""
    if finish is Finish.FILTERED:
        return "the server's content filter withheld it"
    if type(text) is not str:
        return "the server gave null for a text" if text is None else "the server gave no text"
    if not is_unicode(text):
        return "the text holds lone surrogates, which are no text"
    if request.logprobs is not None and logprobs is None and text:
        return "log-probabilities were asked for and none, or impossible ones, came"
    return None


def is_unicode(text: str) -> bool:
    """Whether it can be written as UTF-8; JSON can smuggle in lone surrogates."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def hidden_of(source: dict[str, Any]) -> str:
    """Reasoning that the server keeps apart from the text."""
    hidden = source.get("reasoning_content") or source.get("reasoning")
    return hidden if type(hidden) is str and is_unicode(hidden) else ""


def finish_of(choice: dict[str, Any], sampling: Sampling) -> Finish:
    """Why a choice ended. `stop_reason` (vLLM) and `matched_stop` (SGLang) tell a stop string from the model's own end."""
    word = choice.get("finish_reason")
    if word != "stop":
        return _FINISHES.get(word, Finish.OTHER) if type(word) is str else Finish.OTHER
    for name in ("stop_reason", "matched_stop"):
        if name in choice:
            return Finish.STOP if type(choice[name]) is str else Finish.EOS
    return Finish.STOP if sampling.stop else Finish.EOS


def logprobs_of(found: object, top: int, vocabulary: int = 0) -> Logprobs | None:
    """Log-probabilities in the form of chats (a list of tokens) or of completions (parallel lists); None if unusable.

    Every chosen one must be a number not above 0. Alternatives may be missing or null: they are -inf.
    """
    if type(found) is not dict:
        return None
    if type(tokens := found.get("content")) is list:
        try:
            rows = [(token["logprob"], token.get("top_logprobs")) for token in tokens]
        except (KeyError, TypeError, AttributeError):
            return None
    elif type(values := found.get("token_logprobs")) is list:
        tops = found.get("top_logprobs")
        rows = list(zip(values, tops if type(tops) is list and len(tops) == len(values) else [None] * len(values), strict=True))
    else:
        return None
    chosen, alternatives = array("d"), array("d")
    for value, ranked in rows:
        if not isinstance(value, float | int) or not _LEAST <= value <= _MOST:  # which NaN is not
            return None
        chosen.append(value if value < 0 else 0.0)
        if top:
            alternatives.extend(_row(ranked, top))
    return Logprobs(chosen, alternatives, top, vocabulary)


def first_token_of(found: object) -> dict[str, float]:
    """Log-probabilities of the first token's alternatives by their texts, in either form; of equal texts the most probable."""
    source: Any = found if type(found) is dict else {}
    rows = source.get("content") or source.get("top_logprobs")
    first = rows[0] if type(rows) is list and rows else None
    if type(first) is dict and "top_logprobs" in first:
        items = first["top_logprobs"] if type(first["top_logprobs"]) is list else []
        pairs = [(item.get("token"), item.get("logprob")) for item in items if type(item) is dict]
    else:
        pairs = list(first.items()) if type(first) is dict else []
    best: dict[str, float] = {}
    for text, value in pairs:
        if type(text) is str and is_unicode(text) and isinstance(value, float | int) and _LEAST <= value <= _MOST:
            best[text] = max(min(value, 0.0), best.get(text, -math.inf))
    return best


def _row(ranked: object, top: int) -> list[float]:
    values: list[object]
    if type(ranked) is list:
        values = [item.get("logprob") for item in ranked if type(item) is dict]
    else:
        values = list(ranked.values()) if type(ranked) is dict else []
    row = [value if value < 0 else 0.0 for value in values if isinstance(value, float | int) and _LEAST <= value <= _MOST]
    row.sort(reverse=True)
    return row if len(row) == top else (row + [-math.inf] * top)[:top]
