"""From a request's body to generated tokens: a fake tokenizer, draws, stops, limits and log-probabilities. No wire format."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from random import Random
from typing import Any

from outthink.testing.fake_server.guided import guided_text
from outthink.testing.fake_server.settings import FakeSettings
from outthink.testing.fake_server.world import World

_TOKEN = re.compile(r" ?\w+|\s+|[^\w\s]")
Ranked = tuple[float, list[tuple[str, float]]]
_BLOCK = 16  # tokens; the prefix cache knows whole blocks only, as real ones do


class Rejected(Exception):
    """The server answers this request with an error. `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def tokenize(text: str) -> list[str]:
    """The fake tokenizer: words with the space before them, white space, single marks. Joined, they are the text."""
    return _TOKEN.findall(text)


@dataclass(frozen=True, slots=True)
class Order:
    """A request as the server understood it. `logprobs` is the number of alternatives, or None for no logprobs."""

    chat: bool
    prompt: str
    prefix: str
    n: int
    max_tokens: int | None
    stop: tuple[str, ...]
    seed: int | None
    temperature: float
    sampler: str
    logprobs: int | None
    stream: bool
    include_usage: bool
    echo: bool
    prompt_logprobs: int | None
    guide: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Generated:
    """One choice. `hidden` counts its reasoning tokens; `finish` is the wire's word: stop or length."""

    tokens: list[str]
    hidden: int
    finish: str
    draw: int
    confidence: float

    @property
    def count(self) -> int:
        return len(self.tokens) + self.hidden


def read_order(body: Mapping[str, Any], chat: bool, settings: FakeSettings) -> Order:
    """Raises Rejected for a body that a real server would refuse too."""
    model = body.get("model")
    if model is not None and model != settings.model:
        raise Rejected(404, f"The model `{model}` does not exist.")
    prompt, prefix = _chat_prompt(body, settings) if chat else (body.get("prompt"), "")
    if not isinstance(prompt, str):
        raise Rejected(400, "prompt must be a string")
    stop = body.get("stop") or ()
    n = body.get("n") or 1
    if not isinstance(n, int) or not 1 <= n <= settings.max_n:
        raise Rejected(400, f"n must be between 1 and {settings.max_n}")
    most = body.get("max_completion_tokens", body.get("max_tokens")) if chat else body.get("max_tokens", 16)
    if most is not None and (not isinstance(most, int) or most < (0 if body.get("echo") else 1)):
        raise Rejected(400, f"max_tokens must be at least 1, got {most}")
    logprobs = (body.get("top_logprobs") or 0 if body.get("logprobs") else None) if chat else body.get("logprobs")
    if logprobs is not None and logprobs > settings.max_top_logprobs:
        raise Rejected(400, f"Requested {logprobs} logprobs, which is greater than max allowed: {settings.max_top_logprobs}")
    length = len(prompt_tokens(prompt)) + len(prompt_tokens(prefix))
    if length + (most or 1) > settings.context_length:
        raise Rejected(
            400,
            f"This model's maximum context length is {settings.context_length} tokens. However, you requested "
            f"{length + (most or 1)} tokens ({length} in the messages, {most or 1} in the completion).",
        )
    temperature = body.get("temperature")
    return Order(
        chat=chat,
        prompt=prompt,
        prefix=prefix,
        n=n,
        max_tokens=most,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        seed=body.get("seed") if settings.seeds else None,
        temperature=1.0 if temperature is None else temperature,
        sampler=repr([body.get(name) for name in ("temperature", "top_p", "top_k", "min_p")]),
        logprobs=logprobs if settings.logprobs else None,
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        echo=bool(body.get("echo")) and not chat,
        prompt_logprobs=body.get("prompt_logprobs") if settings.prompt_logprobs else None,
        guide=body if settings.guided else None,
    )


def _chat_prompt(body: Mapping[str, Any], settings: FakeSettings) -> tuple[str, str]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Rejected(400, "messages must be a list that is not empty")
    texts = [_text_of(message) for message in messages]
    open_turn = settings.continuation == "llamacpp" or (
        settings.continuation == "vllm" and body.get("continue_final_message") and not body.get("add_generation_prompt", True)
    )
    if open_turn and messages[-1].get("role") == "assistant":
        return "\n".join(texts[:-1]), texts[-1]
    return "\n".join(texts), ""


def _text_of(message: Any) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise Rejected(400, "every message needs a content")
    return content


@lru_cache(maxsize=4096)
def prompt_tokens(prompt: str) -> tuple[str, ...]:
    """The prompt's tokens."""
    return tuple(tokenize(prompt))


class Sampler:
    """Draws choices from a world. Holds what a server remembers: how often each prompt came, and which blocks it cached."""

    def __init__(self, world: World, settings: FakeSettings) -> None:
        self._world, self._settings = world, settings
        self._times: dict[str, int] = {}
        self._blocks: dict[int, None] = {}

    def cached(self, order: Order) -> int:
        """Prompt tokens that the prefix cache already holds; the rest is cached from now on."""
        if not self._settings.prefix_cache:
            return 0
        blocks = _blocks(order.prompt + order.prefix)
        held = next((at for at, block in enumerate(blocks) if block not in self._blocks), len(blocks))
        for block in blocks[held:]:
            self._blocks[block] = None
        while len(self._blocks) > 200_000:
            del self._blocks[next(iter(self._blocks))]
        return held * _BLOCK

    def generate(self, order: Order, faults: Collection[str]) -> list[Generated]:
        """The choices of an order, `ignores_n`, `ignores_seed`, `swallows_stop` and `ignores_max_tokens` obeyed."""
        if order.max_tokens == 0:
            return [Generated([], 0, "length", 0, 0.8)]
        seed = None if "ignores_seed" in faults else order.seed
        if order.temperature == 0:
            source = "greedy"
        elif seed is None:
            self._times[order.prompt] = times = self._times.get(order.prompt, -1) + 1
            source = f"time {times}"
        else:
            source = f"seed {seed} {order.sampler}"
        start = blake2b(f"{source}\0{order.prompt}\0{order.prefix}".encode(), digest_size=8)
        return [self._one(order, start.copy(), at, faults) for at in range(1 if "ignores_n" in faults else order.n)]

    def _one(self, order: Order, start: Any, at: int, faults: Collection[str]) -> Generated:
        if order.temperature:
            start.update(b"%d" % at)
        draw = int.from_bytes(start.digest(), "little") >> 1
        text, confidence = self._world(order.prompt, order.prefix if order.chat else None, draw)
        if order.guide is not None:
            text = guided_text(order.guide, text, draw)
        if order.stop and "swallows_stop" not in faults:
            ends = [place for place in (text.find(stop) for stop in order.stop) if place >= 0]
            text = text[: min(ends)] if ends else text
        tokens, hidden = tokenize(text), self._settings.reasoning
        most = None if "ignores_max_tokens" in faults else order.max_tokens
        if most is None or len(tokens) + hidden <= most:
            return Generated(tokens, hidden, "stop", draw, confidence)
        return Generated(tokens[: max(0, most - hidden)], min(hidden, most), "length", draw, confidence)


@lru_cache(maxsize=4096)
def _blocks(prompt: str) -> tuple[int, ...]:
    tokens = prompt_tokens(prompt)
    blocks = [0]
    for end in range(_BLOCK, len(tokens) + 1, _BLOCK):
        blocks.append(hash((blocks[-1], tokens[end - _BLOCK : end])))
    return tuple(blocks[1:])


def alternatives(choice: Generated, top: int) -> list[Ranked]:
    """For each token: its probability, and the `top` most probable tokens with theirs, most probable first."""
    random = Random(choice.draw)
    rows = []
    for token in choice.tokens:
        chosen = min(0.99, max(0.02, choice.confidence + 0.4 * (random.random() - 0.5)))
        ranked = [(token, chosen), *((f" other{rank}", (1 - chosen) * 0.5**rank) for rank in range(1, top + 1))]
        ranked.sort(key=lambda pair: -pair[1])
        rows.append((chosen, ranked[:top]))
    return rows
