"""What a generation gives: samples, whole or partial, and the ones that failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import overload

from outthink.core.budget import NOTHING, Usage
from outthink.core.key import Key
from outthink.core.logprobs import Logprobs


class Finish(StrEnum):
    """Why a sample ended."""

    EOS = "eos"  # the model ended it
    STOP = "stop"  # a stop string ended it (also: the server says "stop" and can't tell the two apart)
    LENGTH = "length"  # max_tokens or the context ended it
    CANCELLED = "cancelled"  # we left it: a partial sample
    FILTERED = "filtered"  # the server withheld it
    OTHER = "other"  # the server gave a reason we don't know, or none


@dataclass(frozen=True, slots=True)
class Sample:
    """One generated completion.

    key:        names it in the run; its seed follows from it
    text:       what was generated, after the prompt's prefix; "" is a real, empty completion
    finish:     why it ended
    tokens:     completion tokens, or None where the backend didn't say and nothing could count them
    usage:      everything it cost, failed attempts included
    prefix:     the text it continues (see Prompt.prefix); `prefix + text` is the whole answer text
    summary:    numbers from log-probabilities (Logprobs.summary); empty where none were asked for
    logprobs:   the arrays, where the operation asked to keep them
    meta:       anything else the backend reports (JSON values)
    """

    key: Key
    text: str
    finish: Finish
    tokens: int | None = None
    usage: Usage = NOTHING
    prefix: str = ""
    summary: Mapping[str, float] = field(default_factory=dict)
    logprobs: Logprobs | None = None
    meta: Mapping[str, object] = field(default_factory=dict)

    @property
    def whole(self) -> str:
        """The answer text from its very beginning: prefix and generated text."""
        return self.prefix + self.text

    @property
    def partial(self) -> bool:
        """Whether it was left before it ended."""
        return self.finish is Finish.CANCELLED


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample that never arrived: its key, why, and what the attempts cost."""

    key: Key
    reason: str
    usage: Usage = NOTHING


@dataclass(frozen=True, slots=True)
class Samples(Sequence[Sample]):
    """The samples of one operation in key order.

    failed: the ones that never arrived
    cut:    a budget ended the operation before all that was asked for was issued or finished
    """

    items: tuple[Sample, ...]
    failed: tuple[Failure, ...] = ()
    cut: bool = False

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, at: int | slice) -> Sample | tuple[Sample, ...]:
        return self.items[at]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.items)
