"""Where operation plugs in: who asks, whether it may, what is kept of it and who looks on. The defaults do nothing.

Only protocols, the data that goes through them, and their do-nothing forms live here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from outthink.core.budget import Budget
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling
from outthink.core.selection import Result
from outthink.core.strategy import Strategy
from outthink.gateway.model import Model
from outthink.gateway.refusal import Refusal
from outthink.runtime.journal import Journal
from outthink.runtime.ledger import Scope
from outthink.runtime.listening import Listener


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    scope:      what everything it asks for is charged to: its budget of the day, for example
    models, strategies: what it may use; empty: all
    strategy:   its default choice, such as "majority:8"; "" is the model's
    budget:     the most that one request may spend; None: the model's own limit holds
    record:     whether its requests may be recorded
    """

    name: str = "anyone"
    scope: Scope = field(default_factory=lambda: Scope("gateway", Budget()))
    models: frozenset[str] = frozenset()
    strategies: frozenset[str] = frozenset()
    strategy: str = ""
    budget: Budget | None = None
    operator: bool = False
    record: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it was understood: everything is decided, nothing is spent.

    id:        unique; in logs, traces, journals and the header X-Request-ID
    protocol:  "chat", "completions" or "responses"
    name:      the run's name: its seeds follow from it
    choices:   answers to give back (the client's n)
    tools, must_call, is_json: the form of its answers; see `conversation.Conversation`
    record:    whether the client wants it recorded; None: it doesn't say
    trace:     the client's `traceparent` header, or ""
    """

    id: str
    protocol: str
    caller: Caller
    model: Model
    strategy: Strategy
    parameters: Mapping[str, Any]
    budget: Budget
    prompt: Prompt
    sampling: Sampling
    task: str
    verifier: str
    seed: int
    name: str
    choices: int = 1
    stream: bool = False
    tools: bool = False
    must_call: bool = False
    is_json: bool = False
    record: bool | None = None
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended: a result, or a refusal, or neither where the client left.

    status:  HTTP status
    usage:   the usage that the client was told, as JSON
    seconds: from the last byte of the request to the last of the answer
    first_seconds: to the first byte of the answer's text; None where there was none
    """

    status: int
    seconds: float
    first_seconds: float | None = None
    result: Result | None = None
    refusal: Refusal | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)
    left: bool = False


class Keys(Protocol):
    """Who a request is from."""

    def caller(self, headers: Mapping[str, str], address: str) -> Caller:
        """Raises Refusal(401) for no key or a wrong one. `headers` are lower case, `address` is the peer's."""
        ...


class Admission(Protocol):
    """Whether and when a request may begin."""

    def place(self, asked: Asked) -> AbstractAsyncContextManager[None]:
        """A place among the requests under way, held while its run goes on. Entering may wait.

        Raises Refusal(429, retry_after=...).
        """
        ...


class Records(Protocol):
    """What is kept of each request."""

    def journal(self, asked: Asked) -> AbstractAsyncContextManager[Journal]:
        """The open journal that the run is written to; `Journal(None)` keeps nothing."""
        ...


class Observer(Protocol):
    """Looks on: metrics, logs, traces, the page. Must not raise and must be quick; it is called on the event loop."""

    def began(self, asked: Asked) -> Listener | None:
        """A request was understood and now asks for its place; the listener, if any, hears its run."""
        ...

    def ended(self, asked: Asked, ended: Ended) -> None:
        """It got its whole answer, or was refused, or left."""
        ...

    def refused(self, path: str, refusal: Refusal, request_id: str) -> None:
        """A request could not even be understood: no key, bad JSON, unknown model."""
        ...


class Anyone:
    """Keys that nobody needs."""

    def __init__(self, caller: Caller | None = None) -> None:
        self._caller = caller or Caller()

    def caller(self, headers: Mapping[str, str], address: str) -> Caller:
        """Always the same."""
        return self._caller


class AlwaysRoom:
    """Admission that never waits."""

    @asynccontextmanager
    async def place(self, asked: Asked) -> AsyncIterator[None]:
        """At once."""
        yield


class NoRecords:
    """Keeps nothing."""

    @asynccontextmanager
    async def journal(self, asked: Asked) -> AsyncIterator[Journal]:
        """A journal without a file."""
        yield Journal(None)
