"""A backend that simulates a model of a toy world: how long replies take, how they fail, and what was really generated.

Everything is a pure function of seeds, so that a schedule, a fault or a resume can be repeated exactly. Under the runtime's
virtual clock no real time passes. What the replies say lives in `worlds`.
"""

from __future__ import annotations

import asyncio
import math
import random
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from outthink.core.backend import Completion, Delta, Piece, Request
from outthink.core.budget import Prices
from outthink.core.capability import Capabilities
from outthink.core.errors import Lost, Permanent, Refused
from outthink.core.key import hashed
from outthink.core.logprobs import Logprobs
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.testing.worlds import Reply, World, tokens

VOCABULARY = 1000


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a reply takes: `first` plus `per_token` for each of its tokens, in seconds.

    spread: each reply's time is multiplied by a number drawn evenly from [1 - spread, 1 + spread]; in [0, 1]
    seed:   of these draws alone: another seed gives the same replies in another order
    """

    first: float = 0.05
    per_token: float = 0.01
    spread: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong with an attempt: the probabilities of each, drawn anew for every attempt.

    refused:   turned away at once (429)
    lost:      the connection breaks half-way
    withheld:  a sample of the completion is unusable although its siblings are fine
    permanent: refused for good (400)
    broken:    ordinals of samples (`Identity.ordinal`) that always fail for good
    """

    refused: float = 0.0
    lost: float = 0.0
    withheld: float = 0.0
    permanent: float = 0.0
    broken: frozenset[int] = frozenset()


CALM = Faults()
STEADY = Pace()


class SimulatedBackend:
    """A backend over a world.

    script: answers of a problem's samples by their ordinal, by problem id, instead of chance (None: no answer)
    slots:  requests it works on at once (None: all); others wait their turn
    n:      most samples per request;  logprobs: alternatives per token, as in `Capabilities`

    What happened: `calls`; `served_prompt_tokens` and `served_completion_tokens`, of failed and cancelled requests too;
    `in_flight` and `peak`, requests under way now and at most; `cancelled`, requests that were left before they ended.
    """

    def __init__(
        self,
        world: World,
        *,
        name: str = "simulated",
        seed: int = 0,
        pace: Pace = STEADY,
        faults: Faults = CALM,
        script: Mapping[str, Sequence[str | None]] | None = None,
        slots: int | None = None,
        n: int = 1,
        logprobs: int = 20,
        prices: Prices | None = None,
    ) -> None:
        self.name, self.prices = name, prices
        self.world, self.seed, self.pace, self.faults, self.script = world, seed, pace, faults, script or {}
        self._capabilities = Capabilities(
            raw=True,
            n=n,
            seed=True,
            logprobs=logprobs,
            prefix=True,
            stream=True,
            cancel=True,
            counts=True,
            slots=slots,
            vocabulary=VOCABULARY,
        )
        self._attempts: Counter[str] = Counter()
        self._turns = None if slots is None else asyncio.Semaphore(slots)
        self.calls = self.in_flight = self.peak = self.cancelled = 0
        self.served_prompt_tokens = self.served_completion_tokens = 0
        self.is_open = False

    @property
    def capabilities(self) -> Capabilities:
        """Everything that a server can do."""
        return self._capabilities

    async def open(self) -> None:
        """Nothing to connect to."""
        self.is_open = True

    async def close(self) -> None:
        """Nothing to free."""
        self.is_open = False

    def prompt_bound(self, prompt: Prompt) -> int:
        """The exact number of tokens of a prompt."""
        texts = [*(message.content for message in prompt.messages), prompt.text or "", prompt.prefix]
        return sum(len(tokens(text)) for text in texts) + len(prompt.messages)

    async def complete(self, request: Request) -> Completion:
        """One attempt."""
        self.calls += 1
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            if self._turns is None:
                return await self._served(request)
            async with self._turns:
                return await self._served(request)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_flight -= 1

    async def _served(self, request: Request) -> Completion:
        name = f"{request.identity} {request.prompt.fields()} {list(request.seeds)}"
        self._attempts[name] += 1
        chance = random.Random(hashed(self.seed, "fault", name, self._attempts[name]))
        fault = self._fault(request, chance)
        if isinstance(fault, (Refused, Permanent)):
            await asyncio.sleep(self.pace.first)
            raise fault
        prompt_tokens = self.prompt_bound(request.prompt)
        self.served_prompt_tokens += prompt_tokens
        pieces = [self._piece(request, at) for at in range(len(request.seeds))]
        slow = random.Random(hashed(self.pace.seed, "pace", name)).uniform(1 - self.pace.spread, 1 + self.pace.spread)
        if request.watch is not None and len(pieces) == 1 and fault is None:
            pieces = [await self._streamed(request, pieces[0], slow)]
            seconds = self.pace.first * slow + self.pace.per_token * slow * (pieces[0].tokens or 0)
        else:
            longest = max(piece.tokens or 0 for piece in pieces)
            share = 0.5 if fault is not None else 1.0
            self.served_completion_tokens += sum(math.ceil((piece.tokens or 0) * share) for piece in pieces)
            seconds = (self.pace.first + self.pace.per_token * longest * share) * slow
            await asyncio.sleep(seconds)
        if fault is not None:
            raise fault
        pieces = [replace(piece, failed="withheld") if chance.random() < self.faults.withheld else piece for piece in pieces]
        return Completion(tuple(pieces), prompt_tokens, sum(piece.tokens or 0 for piece in pieces), seconds=seconds)

    def _fault(self, request: Request, chance: random.Random) -> Refused | Permanent | Lost | None:
        first = -1 if request.identity is None else request.identity.ordinal
        if any(first + at in self.faults.broken for at in range(len(request.seeds))):
            return Permanent("this sample always fails", status=400)
        drawn = chance.random()
        if drawn < self.faults.refused:
            return Refused("too many requests", status=429, overloaded=True)
        drawn -= self.faults.refused
        if drawn < self.faults.permanent:
            return Permanent("bad request", status=400)
        return Lost("the connection broke") if drawn - self.faults.permanent < self.faults.lost else None

    def _piece(self, request: Request, at: int) -> Piece:
        """One sample: its whole text from the world, then cut as the request says."""
        # Greedy decoding doesn't depend on the seed. Unless the world goes on from it, an open prefix changes nothing.
        seed = 0 if request.sampling.temperature == 0 else request.seeds[at]
        prompt = request.prompt if self.world.continues else replace(request.prompt, prefix="")
        chance = random.Random(hashed(self.seed, "text", prompt.fields(), seed))
        reply = self._reply(request, at, prompt, chance)
        begun = "" if self.world.continues else request.prompt.prefix
        text = reply.text[len(begun) :] if reply.text.startswith(begun) else reply.text
        finish = Finish.EOS
        ends = [end for stop in request.sampling.stop if (end := text.find(stop)) >= 0]
        if ends:
            text, finish = text[: min(ends)], Finish.STOP
        found = tokens(text)
        if len(found) > request.sampling.max_tokens:
            found, finish = found[: request.sampling.max_tokens], Finish.LENGTH
        meta = {"first_token": self._first(request)} if request.logprobs is not None and request.logprobs.first else {}
        logprobs = self._logprobs(request, len(found), reply.confidence, chance)
        return Piece("".join(found), finish, len(found), logprobs, meta=meta)

    def _first(self, request: Request) -> dict[str, float]:
        return self.world.first_tokens(request.prompt, request.identity.role if request.identity is not None else "generator")

    def _reply(self, request: Request, at: int, prompt: Prompt, chance: random.Random) -> Reply:
        identity = request.identity
        script = self.script.get(identity.problem, ()) if identity is not None else ()
        first = identity.ordinal + at if identity is not None else 0
        return self.world.reply(prompt, chance, script[first : first + 1])

    def _logprobs(self, request: Request, count: int, confidence: float, chance: random.Random) -> Logprobs | None:
        if request.logprobs is None:
            return None
        k, found = request.logprobs.top, Logprobs(array("d"), array("d"), request.logprobs.top, VOCABULARY)
        for _ in range(count):
            p = min(max(confidence + chance.uniform(-0.04, 0.04), 0.01), 0.99)
            found.chosen.append(math.log(p))
            found.top.extend([math.log(p), *[math.log((1 - p) / (VOCABULARY - 1))] * (k - 1)][:k])
        return found

    async def _streamed(self, request: Request, piece: Piece, slow: float) -> Piece:
        assert request.watch is not None
        await asyncio.sleep(self.pace.first * slow)
        said = tokens(piece.text)
        for sent, token in enumerate(said, start=1):
            await asyncio.sleep(self.pace.per_token * slow)
            self.served_completion_tokens += 1
            logprobs = piece.logprobs and _cut(piece.logprobs, sent - 1, sent)
            if request.watch(Delta(token, 1, logprobs, exact=True)) and sent < len(said):
                logprobs = piece.logprobs and _cut(piece.logprobs, 0, sent)
                return replace(piece, text="".join(said[:sent]), finish=Finish.CANCELLED, tokens=sent, logprobs=logprobs)
        return piece


def _cut(logprobs: Logprobs, start: int, end: int) -> Logprobs:
    top = logprobs.top[start * logprobs.k : end * logprobs.k]
    return replace(logprobs, chosen=logprobs.chosen[start:end], top=top)
