"""From a request to the bytes of its body. What is the same for many requests is encoded once. No network here."""

from __future__ import annotations

import json
from functools import lru_cache

from outthink.backends.engines import Engine
from outthink.core.backend import Request
from outthink.core.errors import BadInput, Unsupported
from outthink.core.prompt import Message, Prompt
from outthink.core.sampling import Sampling

__all__ = ["Encoder"]

_NEUTRAL = Sampling(temperature=1.0)
_SEED = b',"seed":'
_SURROGATE = "the prompt, a stop string or the model name holds a lone surrogate, which is no text"
KEPT = 1 << 16
"""Characters of a prompt up to which its bytes are kept."""


class Encoder:
    """Writes requests for one engine and model.

    A request states every sampler setting that the engine takes, neutral ones included, so that temperature 1 is the
    model's own distribution; a setting that the engine can't be told is refused unless it is neutral. `prefix` says whether
    the server continues an assistant turn.
    """

    def __init__(self, engine: Engine, model: str, *, prefix: bool) -> None:
        self._engine = engine
        self._model = model
        self._open_turn = engine.continuation if prefix else None
        self._constant = lru_cache(maxsize=256)(self._constant_of)
        self._prompt = lru_cache(maxsize=256)(self._prompt_of)

    def body(self, request: Request) -> bytes:
        """The JSON body. Raises Unsupported for what the engine can't be told, BadInput for text that is no Unicode."""
        top = None if request.logprobs is None else request.logprobs.top
        count = len(request.seeds)
        prompt = request.prompt
        constant = self._constant(request.sampling, top, prompt.text is None, request.watch is not None, count, prompt.extra)
        seed = b"%d" % request.seeds[0] if constant.endswith(_SEED) else b""
        return b"%b%b,%b}" % (constant, seed, self._prompt(prompt) if _small(prompt) else self._prompt_of(prompt))

    def path(self, prompt: Prompt) -> str:
        """The endpoint, after the base URL."""
        return "/chat/completions" if prompt.text is None else "/completions"

    def _constant_of(self, sampling: Sampling, top: int | None, chat: bool, stream: bool, count: int, extra: str) -> bytes:
        """Everything but the seed and the prompt; ends where the seed's digits go, unless the prompt brings its own seed."""
        engine = self._engine
        body: dict[str, object] = {"model": self._model} | dict(engine.constants)
        self._state_settings(sampling, body)
        body[engine.chat_limit if chat else "max_tokens"] = sampling.max_tokens
        if sampling.stop:
            if engine.most_stops is not None and len(sampling.stop) > engine.most_stops:
                raise Unsupported(
                    f"{len(sampling.stop)} stop strings are asked for and an engine of kind {engine.name} takes at most "
                    f"{engine.most_stops}; use fewer",
                    setting="stop",
                )
            body["stop"] = list(sampling.stop)
        if top is not None:
            top = max(top, engine.least_top)
            body |= {"logprobs": True, "top_logprobs": top} if chat else {"logprobs": top}
        if extra:
            body = _joined(body, json.loads(extra))
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}} | dict(engine.streaming)
        if count > 1:
            body["n"] = count
        return _dump(body)[:-1] + (b"" if "seed" in body else _SEED)

    def _state_settings(self, sampling: Sampling, body: dict[str, object]) -> None:
        engine = self._engine
        for name in ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repeat_penalty"):
            value = getattr(sampling, name)
            neutral = name != "temperature" and value == getattr(_NEUTRAL, name)
            word = engine.settings.get(name)
            if word is None and not neutral:
                raise Unsupported(
                    f"{name}={value:g} can't be told to an engine of kind {engine.name} over this protocol; leave it at its "
                    "neutral value, or name the engine with engine=... if this is another one",
                    setting=name,
                )
            if word is not None and (not neutral or name in engine.states):
                body[word] = engine.off.get(name, value) if neutral else value

    def _prompt_of(self, prompt: Prompt) -> bytes:
        """The prompt's fields, without braces."""
        if prompt.text is not None:
            return _dump({"prompt": prompt.text + prompt.prefix})[1:-1]
        turns = b",".join(_turn(message) for message in prompt.messages)
        if not prompt.prefix:
            return b'"messages":[%b]' % turns
        if self._open_turn is None:
            raise Unsupported(
                f"a server of kind {self._engine.name} isn't known to continue an answer that has begun; use vLLM, SGLang, "
                "llama.cpp or the embedded model, or a raw prompt"
            )
        open_turn = _dump(dict(self._open_turn))[1:-1]
        messages = b'"messages":[%b,%b]' % (turns, _dump({"role": "assistant", "content": prompt.prefix}))
        return messages + b"," + open_turn if open_turn else messages


def _small(prompt: Prompt) -> bool:
    """Whether its bytes may be kept: many prompts with images would fill the memory."""
    return sum(len(message.wire) or len(message.content) for message in prompt.messages) + len(prompt.text or "") < KEPT


def _turn(message: Message) -> bytes:
    return _bytes(message.wire) if message.wire else _dump({"role": message.author, "content": message.content})


def _joined(body: dict[str, object], extra: dict[str, object]) -> dict[str, object]:
    """The body with further fields, which replace ours; a null leaves ours out.

    Of log-probabilities there are as many as either wants: in a chat `logprobs` is true or false, in a completion a number.
    """
    joined = {name: value for name, value in (body | extra).items() if value is not None}
    for name in ("logprobs", "top_logprobs"):
        wanted = [value for each in (body, extra) if isinstance(value := each.get(name), int)]
        if wanted:
            joined[name] = max(wanted)
    return joined


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadInput(_SURROGATE, where="prompt") from None


def _dump(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise BadInput(_SURROGATE, where="prompt") from None
