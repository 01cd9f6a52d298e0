"""What answers generation requests: one attempt per call.

A backend makes exactly one attempt and tells the truth about it. Retries, reservation against the budget, concurrency
limits, time limits of a run and the journal are the runtime's. Backends live in `outthink.backends`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

from outthink.core.budget import Prices
from outthink.core.capability import Capabilities
from outthink.core.logprobs import LogprobNeed, Logprobs
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a streamed sample, as much as arrived at once.

    text:     the new text
    tokens:   new completion tokens (0 where the backend can't count them yet)
    logprobs: of the new tokens, where asked for
    exact:    all tokens so far are counted; False: there may be more than was told
    wire:     the choice as a server of OpenAI's protocol wrote it; None where there is none
    """

    text: str
    tokens: int = 0
    logprobs: Logprobs | None = None
    exact: bool = False
    wire: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One attempt.

    prompt, sampling: as asked; `sampling.max_tokens` is already clipped to what the budget grants
    seeds:    one per sample; more than one only where `Capabilities.n` allows it. A backend whose wire takes a single seed per
              request sends the first
    logprobs: what is needed, or None
    watch:    called with each piece of the (single) sample as it arrives; None: no streaming is needed. Returning True
              asks to stop: the backend frees the server and returns what it has, with Finish.CANCELLED
    timeout:  seconds after which the attempt counts as lost; None: no limit
    looked_at: whether what `watch` is told is looked at before the sample ends, or only counted
    identity: opaque text that names the sample (problem and key): pools and simulated worlds answer by it
    """

    prompt: Prompt
    sampling: Sampling
    seeds: Sequence[int]
    logprobs: LogprobNeed | None = None
    watch: Callable[[Delta], bool] | None = None
    timeout: float | None = None
    identity: Identity | None = None
    looked_at: bool = False


class Identity(NamedTuple):  # a tuple, because one is made for every sample
    """Who asks.

    problem: its id
    ordinal: index of the first sample among all samples that this run asked of this role
    within:  the same among those of its prompt (with its prefix), temperature and stop strings
    run:     with its replicate
    role:    that the backend plays here
    """

    problem: str
    ordinal: int
    within: int
    run: str
    role: str = "generator"


@dataclass(frozen=True, slots=True)
class Piece:
    """One sample of a completion.

    tokens:  completion tokens of this sample, or None where unknown
    summary: numbers from log-probabilities (Logprobs.summary), where the backend has them without the arrays (a replay)
    failed:  why this one is unusable (null content, withheld, ...) although its siblings are fine; None: it is usable
    """

    text: str
    finish: Finish
    tokens: int | None = None
    logprobs: Logprobs | None = None
    summary: Mapping[str, float] = field(default_factory=dict)
    failed: str | None = None
    meta: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to one attempt: as many pieces as arrived (at most one per seed, in seed order).

    prompt_tokens, completion_tokens: as reported for the whole request, or None where the backend didn't say
    cached_tokens, reasoning_tokens:  as reported, else 0
    seconds: how long it took, where the backend knows better than a clock around it (a replay, a simulation); else None
    """

    pieces: tuple[Piece, ...]
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    seconds: float | None = None


@runtime_checkable
class Backend(Protocol):
    """Anything that generates.

    name:   identifies the model for fingerprints and messages, without secrets: "llamacpp:NAME", "http://host:port#model"
    prices: money per million tokens, or None where unknown
    """

    prices: Prices | None

    @property
    def name(self) -> str:
        """Complete after `open`."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; known after `open`."""
        ...

    async def open(self) -> None:
        """Connect or load; called once before the first request. Raises Permanent, Refused or UsageError."""
        ...

    async def close(self) -> None:
        """Free everything; called once, also after a failed `open`."""
        ...

    async def complete(self, request: Request) -> Completion:
        """Make one attempt. Raises Refused, Lost or Permanent; being cancelled frees the server."""
        ...

    def prompt_bound(self, prompt: Prompt) -> int:
        """An upper bound of the prompt's tokens: from a tokenizer, else UTF-8 bytes plus template overhead."""
        ...
