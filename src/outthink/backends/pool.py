"""The replay backend: answers requests from recorded samples, and never with anything that was not recorded.

Each replicate draws its own seeded order of a problem's samples, without replacement, so one recording answers many runs at
many budgets. Reading recordings from files lives in `outthink.evaluation.pool`.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, product
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

KEPT = 4096
"""Orders, and problems, that are remembered."""

_Group = tuple[str | None, str, float | None]
"""What samples answer alike: the prompt's digest, the prefix that they continue, the temperature; None: not recorded."""


class PoolBackend:
    """Serves recorded samples.

    name:         of the pool and its model, for messages and fingerprints
    samples:      the recorded samples of a problem by its id; empty for a problem that isn't there
    seed:         of the orders in which runs draw. Runs whose names end alike (what follows the last "/": the replicate) draw
                  alike, so that strategies are compared on the same draws
    alternatives: log-probabilities per token that the recorded summaries were made of; -1: there are no summaries
    prefixes:     continuations of prefixes were recorded too
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
        prefixes: bool = False,
        sleep: bool = False,
        prices: Prices | None = None,
    ) -> None:
        self.name = f"pool:{name}"
        self.prices = prices
        self._samples, self._seed, self.virtual = samples, seed, sleep
        self._capabilities = Capabilities(
            raw=True, seed=True, logprobs=alternatives, prefix=prefixes, slots=SLOTS,
            stream=sleep, cancel=sleep, counts=sleep, exact_cancel=sleep,
        )  # fmt: skip
        self._order = functools.lru_cache(maxsize=KEPT)(self._shuffled)
        self._groups = functools.lru_cache(maxsize=KEPT)(self._grouped)
        # Of problems whose recording kept no prompt: the first one that was asked.
        self._first_prompt = functools.lru_cache(maxsize=KEPT)(_nothing)

    @property
    def capabilities(self) -> Capabilities:
        """What was recorded; no further turns."""
        return self._capabilities

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Forget what was asked."""
        for cache in (self._order, self._groups, self._first_prompt):
            cache.cache_clear()

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
        drawn = self._draw(request, request.identity)
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

    def _draw(self, request: Request, who: Identity) -> list[RecordedSample]:
        """The samples whose turn it is among those of this prompt, prefix, temperature and stop strings."""
        groups = self._groups(who.problem)
        prefix, temperature = request.prompt.prefix, round(request.sampling.temperature, 6)
        temperatures = (None, temperature) if "temperature" not in _open(request.prompt.extra) else {key[2] for key in groups}
        keys = product((None, request.prompt.digest()), (prefix,), temperatures)
        fitting = [key for key in keys if key in groups]
        if not fitting:
            raise PoolMiss(f"{self.name} {_lacking(groups, request, who)}")
        self._check_alike(fitting, request, who)
        alike = [sample for key in fitting for sample in groups[key]]
        # Where none was stopped so, the first one says what differs.
        samples = [sample for sample in alike if _stopped(sample, request)] or alike
        every = len(samples) == sum(map(len, groups.values()))
        first, n, of = who.within, len(request.seeds), "" if every else f" at temperature {temperature:g}"
        if first + n > len(samples):
            after = f" after {_short(prefix)}" if prefix else ""
            raise PoolMiss(
                f"{self.name} holds {len(samples)} samples of problem {who.problem!r}{of}{after} and run {who.run} asks for "
                f"number {first + n}; lower the budget or record more samples"
            )
        replicate = who.run.rpartition("/")[2]
        order = self._order(who.problem, replicate + of + (prefix and f" after {prefix}"), len(samples))
        return [samples[at] for at in order[first : first + n]]

    def _check_alike(self, fitting: Sequence[_Group], request: Request, who: Identity) -> None:
        """Where prompts or temperatures were not recorded, the samples answer one of them: refuse a second one."""
        where = f"{self.name}, problem {who.problem!r}"
        if any(temperature is None for _, _, temperature in fitting) and who.within != who.ordinal:
            raise PoolMiss(f"{where}: no temperatures were recorded, and a run asks for two, or for two prompts; run it live")
        if all(prompt is not None for prompt, _, _ in fitting):
            return
        if who.role != "generator":
            raise PoolMiss(f"{where}: no {who.role} was recorded; bind one with {who.role}=MODEL")
        if self._first_prompt(who.problem).setdefault("", digest := request.prompt.digest()) != digest:
            raise PoolMiss(f"{where}: samples of one prompt were recorded, and two are asked; run this strategy live")

    def _grouped(self, problem: str) -> dict[_Group, list[RecordedSample]]:
        found: dict[_Group, list[RecordedSample]] = {}
        for sample in self._samples(problem):
            temperature = sample.sampling.get("temperature")
            key = sample.prompt, sample.prefix, None if temperature is None else round(temperature, 6)
            found.setdefault(key, []).append(sample)
        return found

    def _shuffled(self, problem: str, label: str, n: int) -> list[int]:
        order = list(range(n))
        random.Random(hashed(self._seed, problem, label)).shuffle(order)
        return order

    def _check(self, sample: RecordedSample, request: Request) -> None:
        """Refuse what differs from the recorded request."""
        assert request.identity is not None
        where = f"{self.name}, problem {request.identity.problem!r}"
        left_open = _open(request.prompt.extra)
        asked = {name: value for name, value in request.sampling.fields().items() if name not in left_open}
        for name, value in sample.sampling.items():
            if name in asked and name != "max_tokens" and not _same(value, asked[name]):
                raise PoolMiss(f"{where}: recorded with {name}={value!r} and asked with {name}={asked[name]!r}")
        need = request.logprobs
        if need is not None and not sample.failed and not sample.serves(need):
            raise PoolMiss(
                f"{where}: log-probabilities were recorded as summaries, not the arrays that are needed (--arrays records them)"
            )
        most = sample.sampling.get("max_tokens")
        if sample.finish is Finish.LENGTH and most is not None and asked.get("max_tokens", 0) > most:
            raise PoolMiss(
                f"{where}: sample {sample.index} was cut at max_tokens={most} and {request.sampling.max_tokens} were asked for"
            )


@functools.lru_cache(maxsize=64)
def _open(extra: str) -> frozenset[str]:
    """Settings that a prompt leaves as they were recorded; see `Prompt.extra`."""
    return frozenset(name for name, value in json.loads(extra or "{}").items() if value is None)


def _lacking(groups: Mapping[_Group, object], request: Request, who: Identity) -> str:
    """What was not recorded, in words."""
    if not groups:
        return f"holds no sample of problem {who.problem!r}"
    digest, prefix, live = request.prompt.digest(), request.prompt.prefix, "run this strategy live"
    asked = [key for key in groups if key[0] in (None, digest)]
    of = f"holds of problem {who.problem!r}"
    if not asked:
        return f"{of} samples of another prompt; replay with the task of the recording, or {live}"
    if temperatures := [key[2] for key in asked if key[1] == prefix]:
        known = " or ".join(f"{each:g}" for each in temperatures if each is not None)
        return f"{of} samples recorded with temperature={known} and asked with temperature={request.sampling.temperature:g}"
    if not prefix:
        return f"{of} only continuations, and no sample from the beginning"
    known = ", ".join(_short(key[1]) for key in islice((key for key in asked if key[1]), 3))
    return f"{of} no continuation of the prefix {_short(prefix)}{known and f', but of {known}'}; {live}"


def _stopped(sample: RecordedSample, request: Request) -> bool:
    return "stop" not in sample.sampling or tuple(sample.sampling["stop"]) == request.sampling.stop


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:28]}...{text[-28:]}")


def _nothing(_: str) -> dict[str, str]:
    return {}


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _same(recorded: Any, asked: Any) -> bool:
    if isinstance(recorded, (int, float)) and isinstance(asked, (int, float)):
        return math.isclose(recorded, asked, abs_tol=1e-6)
    return list(recorded) == list(asked) if isinstance(recorded, (list, tuple)) else bool(recorded == asked)
