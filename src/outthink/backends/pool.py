"""The replay backend: answers requests from recorded samples, and never with anything that was not recorded.

Each replicate draws its own seeded order of a problem's samples, without replacement, so one recording answers many runs at
many budgets. Reading recordings from files lives in `outthink.evaluation.pool`.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from outthink.backends import played
from outthink.backends.played import RecordedSample
from outthink.core.backend import Completion, Identity, Request
from outthink.core.budget import Prices
from outthink.core.capability import Capabilities
from outthink.core.errors import Lost, PoolMiss
from outthink.core.key import hashed
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish

SLOTS = 256
"""Requests at once: none takes real time."""


def prompt_digest(prompt: Prompt) -> str:
    """What a pool keeps of a prompt: enough to refuse another one."""
    plain = json.dumps(prompt.fields(), ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


class PoolBackend:
    """Serves recorded samples.

    name:         of the pool and its model, for messages and fingerprints
    samples:      the recorded samples of a problem by its id; empty for a problem that isn't there
    seed:         of the orders in which runs draw. Runs whose names end alike (what follows the last "/": the replicate) draw
                  alike, so that strategies are compared on the same draws
    alternatives: log-probabilities per token that the recorded summaries were made of; -1: there are no summaries
    sleep:        let each request take its recorded seconds (free on a virtual clock), so that it also serves streams: what is
                  left before its end costs the tokens it had by then. False: only report them
    """

    def __init__(
        self,
        name: str,
        samples: Callable[[str], Sequence[RecordedSample]],
        *,
        seed: int = 0,
        alternatives: int = -1,
        sleep: bool = False,
        prices: Prices | None = None,
    ) -> None:
        self.name = f"pool:{name}"
        self.prices = prices
        self._samples, self._seed, self.virtual = samples, seed, sleep
        self._capabilities = Capabilities(
            raw=True, seed=True, logprobs=alternatives, slots=SLOTS, stream=sleep, cancel=sleep, counts=sleep, exact_cancel=sleep
        )
        self._prompts: dict[str, Prompt] = {}  # of problems whose recording kept none: the first one that was asked
        self._order = functools.lru_cache(maxsize=4096)(self._shuffled)

    @property
    def capabilities(self) -> Capabilities:
        """What was recorded; no prefix, no further turns."""
        return self._capabilities

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Forget the orders."""
        self._order.cache_clear()

    def prompt_bound(self, prompt: Prompt) -> int:
        """An upper bound: UTF-8 bytes plus room for a chat template."""
        texts = [message.content for message in prompt.messages] or [prompt.text or ""]
        return sum(len(text.encode("utf-8", "replace")) for text in (*texts, prompt.prefix)) + 16 * (len(texts) + 2)

    async def complete(self, request: Request) -> Completion:
        """The next samples of this run's order. Raises PoolMiss for whatever was not recorded."""
        if request.identity is None:
            raise PoolMiss(f"{self.name} answers by problem and run, and the request names neither")
        if request.looked_at and not self.virtual:
            raise PoolMiss(f"{self.name} is replayed without its times, and streams need them; replay it with sleep=True")
        drawn = self._draw(request.identity, len(request.seeds), request.sampling.temperature)
        for sample in drawn:
            self._check(sample, request)
        seconds = [sample.seconds for sample in drawn if sample.seconds is not None]
        longest = max(seconds) if len(seconds) == len(drawn) else None
        pieces = [played.piece(sample, request) for sample in drawn]
        if self.virtual and request.watch is not None and pieces[0].failed is None:
            pieces[0], longest = await played.stream(drawn[0], pieces[0], request, self.name)
        elif self.virtual and longest:
            await asyncio.sleep(longest)
        prompt = _total([sample.prompt_tokens for sample in drawn])
        completion = _total([piece.tokens for piece in pieces])
        if pieces[0].failed is not None and len(pieces) == 1:
            lost = Lost(pieces[0].failed, prompt_tokens=prompt, completion_tokens=completion)
            lost.retryable = False  # it was repeated when it was recorded, as often as it was worth
            raise lost
        return Completion(tuple(pieces), prompt, completion, sum(sample.cached_tokens for sample in drawn), seconds=longest)

    def _draw(self, who: Identity, n: int, temperature: float) -> list[RecordedSample]:
        samples = self._samples(who.problem)
        if not samples:
            raise PoolMiss(f"{self.name} holds no sample of problem {who.problem!r}")
        first, of = who.ordinal, ""
        if who.within is not None:  # the run spreads its samples over temperatures
            known = [sample for sample in samples if "temperature" in sample.sampling]
            samples = [sample for sample in known if _same(sample.sampling["temperature"], temperature)]
            first, of = who.within, f" at temperature {temperature:g}"
        if first + n > len(samples):
            raise PoolMiss(
                f"{self.name} holds {len(samples)} samples of problem {who.problem!r}{of} and run {who.run} asks for "
                f"number {first + n}; lower the budget or record more samples"
            )
        order = self._order(who.problem, who.run.rpartition("/")[2] + of, len(samples))
        return [samples[at] for at in order[first : first + n]]

    def _shuffled(self, problem: str, replicate: str, n: int) -> list[int]:
        order = list(range(n))
        random.Random(hashed(self._seed, problem, replicate)).shuffle(order)
        return order

    def _check(self, sample: RecordedSample, request: Request) -> None:
        """Refuse what differs from the recorded request."""
        assert request.identity is not None
        where = f"{self.name}, problem {request.identity.problem!r}"
        other = sample.prompt is not None and sample.prompt != prompt_digest(request.prompt)
        if request.prompt.prefix and (other or sample.prompt is None):
            raise PoolMiss(f"{where}: no continuation of a prefix was recorded; run this strategy live")
        if sample.prompt is None and self._prompts.setdefault(request.identity.problem, request.prompt) != request.prompt:
            raise PoolMiss(f"{where}: samples of one prompt were recorded, and two are asked; run this strategy live")
        if request.identity.role != "generator" and sample.prompt is None:
            raise PoolMiss(f"{where}: no {request.identity.role} was recorded; bind one with {request.identity.role}=MODEL")
        if other:
            raise PoolMiss(
                f"{where}: another prompt was recorded; replay with the task of the recording, or run this strategy live"
            )
        asked = request.sampling.fields()
        for name, value in sample.sampling.items():
            if name in asked and name != "max_tokens" and not _same(value, asked[name]):
                raise PoolMiss(f"{where}: recorded with {name}={value!r} and asked with {name}={asked[name]!r}")
        need = request.logprobs
        if need is not None and (need.keep or need.window) and (sample.logprobs is None or sample.logprobs.k < need.top):
            raise PoolMiss(
                f"{where}: log-probabilities were recorded as summaries, not the arrays that are needed (--arrays records them)"
            )
        most = sample.sampling.get("max_tokens")
        if sample.finish is Finish.LENGTH and most is not None and request.sampling.max_tokens > most:
            raise PoolMiss(
                f"{where}: sample {sample.index} was cut at max_tokens={most} and {request.sampling.max_tokens} were asked for"
            )


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _same(recorded: Any, asked: Any) -> bool:
    if isinstance(recorded, (int, float)) and isinstance(asked, (int, float)):
        return math.isclose(recorded, asked, abs_tol=1e-6)
    return list(recorded) == list(asked) if isinstance(recorded, (list, tuple)) else bool(recorded == asked)
