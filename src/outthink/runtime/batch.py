"""What an endpoint is asked for: samples of one request, how often to try, and where their fate is told. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from outthink.core.backend import Identity
from outthink.core.budget import Usage
from outthink.core.errors import BackendError, BadInput, shortly
from outthink.core.given import fits, whole
from outthink.core.key import hashed
from outthink.core.operation import Generate
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling
from outthink.runtime.ledger import Priority, Scope
from outthink.runtime.rows import Row, State
from outthink.runtime.streams import Stream


@dataclass(frozen=True, slots=True)
class Retry:
    """How failed attempts are repeated.

    attempts: most attempts of one sample
    base, longest: seconds; the wait before attempt k+1 is drawn from (0, min(longest, base * 2**k)], or is what the server asks
    timeout:  seconds after which one attempt counts as lost; None: never

    Raises BadInput.
    """

    attempts: int = 6
    base: float = 0.5
    longest: float = 30.0
    timeout: float | None = 600.0

    def __post_init__(self) -> None:
        whole("attempts", self.attempts, 1)
        given = {"base": self.base, "longest": self.longest}
        for name, value in (given if self.timeout is None else {**given, "timeout": self.timeout}).items():
            if not fits("float", value) or value < 0 or (name == "timeout" and value == 0):
                raise BadInput(f"{name} is {shortly(value)} and must be a number of seconds", where="retry")

    def delay(self, attempt: int, error: BackendError, name: str) -> float:
        """Seconds to wait after a failed attempt (1, 2, ...); the jitter is a pure function of the sample's name."""
        if error.retry_after is not None:
            return min(max(error.retry_after, 0.0), 300.0)
        share = (1 + hashed(attempt, name, "retry")) / 2**64
        return min(self.longest, self.base * 2.0 ** (attempt - 1)) * share


class Order(Protocol):
    """The operation that requests belong to, as an endpoint knows it.

    digest: of the operation;  scope: whose budget pays
    stream: that is fed with pieces as they arrive, or None
    """

    operation: Generate
    digest: str
    scope: Scope
    stream: Stream | None

    def sent(self, first: int, prompt: int, completion: int, usd: float | None) -> None:
        """An attempt at this sample, and at those that share its request, leaves; the most tokens and usd that it can take."""

    def spent(self, usage: Usage) -> None:
        """An attempt was settled."""

    def failed(self, first: int, error: BackendError) -> bool:
        """An attempt failed; returns whether it may be repeated."""

    def arrived(self, row: Row) -> None:
        """A row of one of the samples."""

    def doomed(self) -> BackendError | None:
        """Why what was not sent yet need not be, or None."""


@dataclass(slots=True)
class Batch:
    """Samples that are asked for in one request.

    indices:  of the samples in their operation; what arrived leaves the list
    seeds:    one for each index
    bound:    most prompt tokens that an attempt can take
    name:     text that names the first sample, for jitter
    identity: of the first sample, once it is admitted
    costs:    by index: what its attempts cost so far
    """

    order: Order
    indices: list[int]
    seeds: list[int]
    prompt: Prompt
    bound: int
    priority: Priority
    name: str
    identity: Identity | None = None
    costs: dict[int, Usage] = field(default_factory=dict)

    @property
    def settings(self) -> Sampling:
        """The settings of all its samples."""
        return self.order.operation.settings(self.indices[0])

    def row(self, index: int, state: State, usage: Usage, **columns: Any) -> Row:
        """A row of one of the samples."""
        key = self.order.operation.key
        return Row(key.path, key.seq, index, state, self.order.digest, usage=usage, prefix=self.prompt.prefix, **columns)

    def cost(self, usage: Usage) -> None:
        """Charge an attempt to the first sample still missing."""
        first = self.indices[0]
        self.costs[first] = self.costs[first] + usage if first in self.costs else usage

    def take(self, index: int) -> None:
        """A sample arrived."""
        at = self.indices.index(index)
        del self.indices[at], self.seeds[at]
