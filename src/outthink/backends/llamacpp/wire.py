"""Requests and replies of llama.cpp's server core as pure values: no engine, no threads, no clock in here."""

from __future__ import annotations

import json
import math
from array import array
from typing import Any

from outthink.core.backend import Completion, Delta, Piece, Request
from outthink.core.errors import BackendError, Lost, Permanent, Refused
from outthink.core.logprobs import LogprobNeed, Logprobs
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish

__all__ = ["ENDS", "Reply", "body_of", "failure_of"]

_WITHOUT_EFFECT = frozenset({
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "parallel_tool_calls",
})  # fmt: skip
ENDS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "<|end|>", "<EOT>", "</s>", "<eos>")
"""Texts of end tokens. A model's vocabulary holds a few of them; llama.cpp ignores the rest."""


def body_of(request: Request, text: str, ends: tuple[str, ...], *, context: int, cache: bool) -> bytes:
    """The request for `text` (template applied), every setting stated.

    The order of samplers is that of vLLM and transformers: filters look at the distribution after the temperature. End
    tokens are preserved in the text, because it is the only sign that tells them from a stop string. Raises Permanent for
    text that isn't Unicode.
    """
    sampling = request.sampling
    penalties = (sampling.presence_penalty, sampling.frequency_penalty, sampling.repeat_penalty) != (0, 0, 1)
    active = {
        "penalties": penalties,
        "temperature": True,
        "top_k": sampling.top_k > 0,
        "top_p": sampling.top_p < 1,
        "min_p": sampling.min_p > 0,
    }
    body: dict[str, Any] = {
        "prompt": text,
        "stream": True,
        "return_progress": True,  # so that a request can be left before its first token
        "timings_per_token": True,  # the only exact count of tokens while it runs
        "cache_prompt": cache,
        "preserved_tokens": ends,
        "seed": request.seeds[0] % 0xFFFFFFFF,  # the largest number would mean "draw one"
        "max_tokens": sampling.max_tokens,
        "stop": sampling.stop,
        "samplers": [name for name, on in active.items() if on],
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repeat_penalty": sampling.repeat_penalty,
        "repeat_last_n": context,  # penalties look at everything
    }
    if request.logprobs is not None:
        body["logprobs"] = max(request.logprobs.top, 1)
    body |= extra_of(request.prompt)
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Permanent(
            "the prompt or a stop string holds half a character (a lone surrogate), which no model can read"
        ) from None


def extra_of(prompt: Prompt) -> dict[str, Any]:
    """What a client's further fields add to the body. Raises Permanent for those that this engine can't honour."""
    extra = {name: value for name, value in json.loads(prompt.extra or "{}").items() if name not in _WITHOUT_EFFECT}
    given = {name: value for name, value in extra.items() if value is not None}
    body = {name: given.pop(name) for name in ("seed", "logit_bias") if name in given}
    wanted = given.pop("response_format", None) or {}
    if wanted.get("type") in ("json_schema", "json_object"):
        body["json_schema"] = (wanted.get("json_schema") or {}).get("schema") or {"type": "object"}
    pictured = any(message.wire and not is_text(message.wire) for message in prompt.messages)
    if given or pictured:
        names = ", ".join(sorted(given)) or "messages that aren't text"
        raise Permanent(f"the embedded engine can't take {names}; serve the model with an OpenAI-compatible server", status=400)
    return body


def is_text(wire: str) -> bool:
    """Whether a client's message is text throughout."""
    content = json.loads(wire).get("content")
    return not isinstance(content, list) or all(part.get("type") in ("text", "refusal") for part in content)


class Reply:
    """What has arrived of one sample."""

    def __init__(self, need: LogprobNeed | None, stops: bool, vocabulary: int, ends: tuple[str, ...]) -> None:
        self._need, self._stops, self._vocabulary, self._ends = need, stops, vocabulary, ends
        self._texts: list[str] = []
        self._chosen, self._top = array("d"), array("d")
        self._at_end_token = False
        self._first: dict[str, float] = {}
        self.prompt_tokens: int | None = None
        self.cached_tokens = 0
        self.tokens = 0
        self.finish: Finish | None = None

    def feed(self, chunk: bytes) -> Delta | None:
        """Take one chunk in; None where it holds nothing of the sample. Raises BackendError for an error, Lost for nonsense."""
        try:
            event = json.loads(chunk)
            if "error" in event:
                raise failure_of(event["error"], self)
            choice = event["choices"][0]
            timings = event.get("timings")
            before = self.tokens
            if timings is not None:
                self.tokens = timings["predicted_n"]
                self.cached_tokens = timings["cache_n"]
                self.prompt_tokens = timings["cache_n"] + timings["prompt_n"]
            if choice["finish_reason"] is not None:
                self._end(choice["finish_reason"], event["usage"])
            elif "prompt_progress" in event:
                return None
            text = self._trimmed(choice["text"])
            logprobs = self._logprobs(choice["logprobs"])
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise Lost(f"llama.cpp sent a chunk that can't be read ({type(error).__name__}: {error})", **self.known()) from None
        if text:
            self._texts.append(text)
        return Delta(text, self.tokens - before, logprobs, exact=True)

    def known(self) -> dict[str, int | None]:
        """The tokens known to be spent, as `Lost` takes them."""
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.tokens}

    def completion(self) -> Completion:
        """The sample as it is; one that has not ended was left."""
        need = self._need
        logprobs = None if need is None else Logprobs(self._chosen, self._top, need.top, self._vocabulary)
        meta = {"first_token": self._first} if need is not None and need.first else {}
        piece = Piece("".join(self._texts), self.finish or Finish.CANCELLED, self.tokens, logprobs, meta=meta)
        return Completion((piece,), self.prompt_tokens, self.tokens, self.cached_tokens)

    def _end(self, reason: str, usage: dict[str, Any]) -> None:
        self.tokens = usage["completion_tokens"]
        self.prompt_tokens = usage["prompt_tokens"]
        self.cached_tokens = usage["prompt_tokens_details"]["cached_tokens"]
        if reason == "stop":
            self.finish = Finish.STOP if self._stops and not self._at_end_token else Finish.EOS
        else:
            self.finish = Finish.LENGTH if reason == "length" else Finish.OTHER

    def _trimmed(self, text: str) -> str:
        for end in self._ends:
            if text.endswith(end):
                self._at_end_token = True
                return text[: -len(end)]
        return text

    def _logprobs(self, found: dict[str, Any] | None) -> Logprobs | None:
        need = self._need
        if need is None or found is None:
            return None
        chosen, top = array("d"), array("d")
        if need.first and not self._chosen and found["content"]:
            self._first = {each["token"]: _number(each["logprob"]) for each in reversed(found["content"][0]["top_logprobs"])}
        for token in found["content"]:
            chosen.append(_number(token["logprob"]))
            row = [_number(other["logprob"]) for other in token["top_logprobs"][: need.top]]
            top.extend(row + [-math.inf] * (need.top - len(row)))
        self._chosen.extend(chosen)
        self._top.extend(top)
        return Logprobs(chosen, top, need.top, self._vocabulary)


def _number(value: float | None) -> float:
    """JSON has no infinity: an impossible token's logarithm arrives as null."""
    return -math.inf if value is None else value


def failure_of(error: dict[str, Any], reply: Reply | None = None) -> BackendError:
    """The error of ours for one of llama.cpp's."""
    code, words = error.get("code"), str(error.get("message", error))[:500]
    if error.get("type") == "exceed_context_size_error":
        return Permanent(
            f"the prompt has {error.get('n_prompt_tokens')} tokens and the model's context holds {error.get('n_ctx')}; shorten "
            "the prompt, or open the model with a larger context=",
            status=400,
        )
    if isinstance(code, int) and 400 <= code < 500:
        return Permanent(f"llama.cpp refused the request: {words}", status=code)
    if reply is None or not reply.tokens:
        return Refused(f"llama.cpp failed before it generated: {words}", status=code)
    return Lost(f"llama.cpp failed in the middle: {words}", status=code, **reply.known())
