"""What a fake server really did: the truth that a client's own accounts are held against."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Entry:
    """One request that reached an endpoint that generates.

    generated: completion tokens that were decoded, delivered or not (a cancelled request: until it was noticed)
    delivered: completion tokens whose bytes were handed to the connection, readable or spoiled
    reported:  completion tokens that `usage` claims, or None where none was sent
    status:    HTTP status, 0 where none was sent
    outcome:   "running", "done", "refused" (nothing was generated), "broken" (by a fault), "cancelled" (the client left)
    """

    id: str
    path: str
    faults: tuple[str, ...] = ()
    prompt: int = 0
    cached: int = 0
    asked: int | None = None
    n: int = 1
    generated: int = 0
    delivered: int = 0
    reported: int | None = None
    status: int = 0
    outcome: str = "running"


@dataclass(slots=True)
class Accounts:
    """Sums over all requests, and the ledger of single ones where it is kept.

    requests counts what reached an endpoint that generates; in_flight those not answered yet, waiting ones included;
    generating those that hold a slot. `bodies` are the last request bodies as (path, headers, body).
    """

    requests: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    generating: int = 0
    max_generating: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    generated_tokens: int = 0
    delivered_tokens: int = 0
    connections: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    ledger: list[Entry] = field(default_factory=list)
    bodies: deque[tuple[str, dict[bytes, bytes], Any]] = field(default_factory=lambda: deque(maxlen=256))

    @property
    def cancelled(self) -> int:
        """Requests whose client left before the end."""
        return self.outcomes["cancelled"]

    def opened(self, entry: Entry, keep: bool) -> None:
        """A request begins."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        self.faults.update(entry.faults)
        if keep:
            self.ledger.append(entry)

    def started(self, entry: Entry) -> None:
        """Its prompt is read and it holds a slot."""
        self.generating += 1
        self.max_generating = max(self.max_generating, self.generating)
        self.prompt_tokens += entry.prompt
        self.cached_tokens += entry.cached

    def closed(self, entry: Entry, outcome: str) -> None:
        """A request ends."""
        self.in_flight -= 1
        entry.outcome = outcome
        self.outcomes[outcome] += 1
        self.generated_tokens += entry.generated
        self.delivered_tokens += entry.delivered

    def metrics(self) -> dict[str, Any]:
        """The sums as plain JSON."""
        names = [name for name in self.__slots__ if name not in ("ledger", "bodies")]
        return {name: getattr(self, name) for name in names}

    def entries(self) -> list[dict[str, Any]]:
        """The ledger as plain JSON."""
        return [asdict(entry) for entry in self.ledger]
