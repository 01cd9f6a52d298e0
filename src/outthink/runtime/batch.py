"""What an endpoint is asked for: samples of one request, how often to try, and where their fate is told. Plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from outthink.core.backend import Delta, Identity
from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BackendError, Permanent
from outthink.core.key import hashed
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling
from outthink.runtime.ledger import Priority, Scope
from outthink.runtime.rows import Row, State


@dataclass(frozen=True, slots=True)
class Retry:
    """How failed attempts are repeated.

    attempts: most attempts of one sample
    base, longest: seconds; the wait before attempt k+1 is drawn from (0, min(longest, base * 2**k)], or is what the server asks
    timeout:  seconds after which one attempt counts as lost; None: never
    """

    attempts: int = 6
    base: float = 0.5
    longest: float = 30.0
    timeout: float | None = 600.0

    def delay(self, attempt: int, error: BackendError, name: str) -> float:
        """Seconds to wait after a failed attempt (1, 2, ...); the jitter is a pure function of the sample's name."""
        if error.retry_after is not None:
            return min(max(error.retry_after, 0.0), 300.0)
        share = (1 + hashed(attempt, name, "retry")) / 2**64
        return min(self.longest, self.base * 2.0 ** (attempt - 1)) * share


@dataclass(slots=True)
class Batch:
    """Samples that are asked for in one request, and where their fate is told.

    indices:   of the samples in their operation; what arrived leaves the list
    name:      text that names the first sample, for jitter
    bound:     most prompt tokens that an attempt can take
    digest:    of their operation
    prior:     what the samples cost before (a journal's attempts without outcome), charged to the first of them
    sent:      called with a row just before each attempt leaves
    arrived:   called with a sample's final row
    spent:     called with the usage of each attempt as it is settled
    doomed:    says why sending more is hopeless, or None
    """

    prompt: Prompt
    sampling: Sampling
    logprobs: LogprobNeed | None
    indices: list[int]
    seeds: dict[int, int]
    identity: Identity
    scope: Scope
    priority: Priority
    name: str
    bound: int
    digest: str
    sent: Callable[[Row], None]
    arrived: Callable[[Row], None]
    spent: Callable[[Usage], None]
    doomed: Callable[[], Permanent | None]
    watch: Callable[[Delta], bool] | None = None
    seen_tokens: Callable[[], int] = lambda: 0
    prior: Usage = NOTHING
    costs: dict[int, Usage] = field(default_factory=dict)

    def row(self, index: int, state: State, usage: Usage, **columns: Any) -> Row:
        """A row of one of the samples."""
        _, path, seq, _ = self.priority
        return Row(path, seq, index, state, self.digest, usage=usage, prefix=self.prompt.prefix, **columns)

    def cost(self, usage: Usage) -> None:
        """Charge an attempt to the first sample still missing."""
        first = self.indices[0]
        self.costs[first] = self.costs.get(first, NOTHING) + usage
