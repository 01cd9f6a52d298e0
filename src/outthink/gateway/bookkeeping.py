"""The observer that keeps the books: what keys spend is on disk before it is spent, and which models are in use is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outthink.core.budget import Usage
from outthink.core.operation import Generate
from outthink.gateway.building import Built
from outthink.gateway.keys import Client
from outthink.gateway.rates import Rates
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Asked, Ended
from outthink.gateway.spending import Spending
from outthink.runtime.listening import Listener

if TYPE_CHECKING:
    from outthink.gateway.operation import Operation


class Bookkeeper:
    """Keeps the books of an operation's requests."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    def began(self, asked: Asked) -> Listener | None:
        """From now on what the request's model is made of must stay open."""
        for built in self._built(asked):
            built.users += 1
        operation = self._operation
        return _Cover(operation.spending, operation.admission.rates, asked.caller) if isinstance(asked.caller, Client) else None

    def ended(self, asked: Asked, ended: Ended) -> None:
        """It may be closed."""
        for built in self._built(asked):
            built.users -= 1

    def refused(self, path: str, refusal: Refusal, request_id: str) -> None:
        """It spent nothing."""

    def _built(self, asked: Asked) -> list[Built]:
        endpoints = asked.model.endpoints.values()
        everything = (*self._operation.built.values(), *self._operation.retired)
        return [built for built in everything if built.endpoint in endpoints]


class _Cover(Listener):
    """Writes ahead what a key's budget must cover, and counts tokens against its rate."""

    def __init__(self, spending: Spending, rates: Rates, client: Client) -> None:
        self._spending, self._rates, self._client = spending, rates, client

    def sent(self, operation: Generate, index: int) -> None:
        """An attempt leaves."""
        self._spending.cover(self._client.day)

    def spent(self, operation: Generate, usage: Usage) -> None:
        """It was settled."""
        self._rates.spent(self._client, usage.most_tokens)
