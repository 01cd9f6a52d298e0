"""The only six things that a strategy can await. Everything else is written in terms of these.

    Generate   samples from a generator                         -> Samples
    Score      numbers for samples from a verifier              -> list[float | None]
    Invoke     a named method of a bound role, JSON in and out  -> JSON
    Start      begin one of the above without waiting           -> Handle
    Next       wait for the next event of some handles          -> Event
    Cancel     leave what was started, keep what arrived        -> Event

An operation is a frozen value. Awaiting one yields it to the interpreter, which sends back the outcome or throws an error
of ours. Who answers (a live model, a journal, a pool, a simulator) is not the strategy's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from outthink.core.errors import Cut
from outthink.core.key import Key
from outthink.core.logprobs import LogprobNeed
from outthink.core.plain import PLAIN
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.rule import rule_fields
from outthink.core.sample import Sample
from outthink.core.sampling import Sampling


@dataclass(frozen=True, slots=True)
class Operation:
    """Base of the six. `key` says where in the strategy's program it stands."""

    key: Key
    kind: ClassVar[str] = ""

    def __await__(self) -> Generator[Operation, Any, Any]:
        return (yield self)

    def plain(self) -> str:
        """JSON, as text, of everything that makes this operation what it is, apart from its key."""
        raise NotImplementedError  # abstract: each operation says

    def digest(self) -> str:
        """A short fingerprint: a journal refuses changed code at its first differing operation."""
        plain = f'["{self.kind}",{self.plain()}]'
        return hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Generate(Operation):
    """Sample from the generator bound to `role`.

    prompts: one that all samples share, or one per sample
    n:       how many samples; None fills the budget in key order
    quorum:  fewer surviving samples than this raise QuorumNotMet
    temperatures: of the first sample, the second ...; the last goes on for all further ones. None, and (): the setting's own
    """

    prompts: tuple[Prompt, ...]
    n: int | None
    sampling: Sampling
    quorum: int = 1
    logprobs: LogprobNeed | None = None
    role: str = "generator"
    temperatures: tuple[float | None, ...] = ()
    kind: ClassVar[str] = "generate"

    def prompt(self, index: int) -> Prompt:
        """The prompt of one sample."""
        return self.prompts[0] if len(self.prompts) == 1 else self.prompts[index]

    def settings(self, index: int) -> Sampling:
        """The settings of one sample."""
        return self.sampling.but(temperature=self.temperature(index)) if self.temperatures else self.sampling

    def temperature(self, index: int) -> float:
        """The temperature of one sample."""
        own = self.temperatures[min(index, len(self.temperatures) - 1)] if self.temperatures else None
        return self.sampling.temperature if own is None else own

    def plain(self) -> str:
        prompts = ",".join([prompt.plain() for prompt in self.prompts])
        n = "null" if self.n is None else self.n
        need = "null" if self.logprobs is None else PLAIN.encode(self.logprobs.fields())
        own = f",{PLAIN.encode(self.temperatures)}" if self.temperatures else ""
        return f"[{PLAIN.encode(self.role)},[{prompts}],{n},{self.sampling.plain()},{self.quorum},{need}{own}]"


@dataclass(frozen=True, slots=True)
class Score(Operation):
    """Score samples with the verifier bound to `role`: one number per sample, higher is better, None where it can't say."""

    problem: Problem
    samples: tuple[Sample, ...]
    role: str = "verifier"
    kind: ClassVar[str] = "score"

    def plain(self) -> str:
        return PLAIN.encode([self.role, self.problem.id, [str(sample.key) for sample in self.samples]])


@dataclass(frozen=True, slots=True)
class Invoke(Operation):
    """Call a method of the role with JSON values. Roles "task" and "grader" are the task's own."""

    role: str
    method: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    kind: ClassVar[str] = "invoke"

    def plain(self) -> str:
        return PLAIN.encode([self.role, self.method, dict(self.payload)])


@dataclass(frozen=True, slots=True)
class Handle:
    """Names something that was started."""

    key: Key


@dataclass(frozen=True, slots=True)
class Partial:
    """What a rule beside a stream may look at: the text and tokens so far.

    confidences: of the tokens so far (`Logprobs.confidences`), where alternatives were asked for; it is the stream's own list
    """

    text: str
    tokens: int
    confidences: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Start(Operation):
    """Begin `operation` without waiting; its key is the handle's.

    every: deliver a partial sample every so many tokens (a Generate of one sample only); None: none by count
    rule:  a pure function that runs beside the stream; True delivers a partial sample; None: none by rule. Its parameters are
           part of the digest (see `rule_fields`)
    With both None only the end is delivered.
    """

    operation: Generate | Score | Invoke
    every: int | None = None
    rule: Callable[[Partial], bool] | None = None
    kind: ClassVar[str] = "start"

    def plain(self) -> str:
        watched = PLAIN.encode([self.every, None if self.rule is None else rule_fields(self.rule)])
        return f'["{self.operation.kind}",{self.operation.plain()},{watched[1:]}'


class EventKind(StrEnum):
    """What happened to something that was started."""

    PARTIAL = "partial"  # value: a partial Sample
    DONE = "done"  # value: the operation's outcome (a single-sample stream: its Samples)
    FAILED = "failed"  # error: why
    CANCELLED = "cancelled"  # value: the partial Sample of a stream, else None


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery from something that was started."""

    handle: Handle
    kind: EventKind
    value: Any = None
    error: Exception | Cut | None = None


@dataclass(frozen=True, slots=True)
class Next(Operation):
    """Wait for the next event of any of these handles. A race: which comes first is journalled, not derived."""

    handles: tuple[Handle, ...]
    kind: ClassVar[str] = "next"

    def plain(self) -> str:
        return PLAIN.encode([str(handle.key) for handle in self.handles])


@dataclass(frozen=True, slots=True)
class Cancel(Operation):
    """Leave something that was started: frees the server, and delivers what had arrived. Leaving twice changes nothing."""

    handle: Handle
    kind: ClassVar[str] = "cancel"

    def plain(self) -> str:
        return PLAIN.encode(str(self.handle.key))
