"""What a running gateway holds. Reading requests is the protocols', answering them `runs`'."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outthink import catalogue
from outthink.core.backend import Backend
from outthink.core.errors import BadInput, UnknownName
from outthink.gateway.body import Bodies
from outthink.gateway.model import AT_ONCE, Model
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Admission, AlwaysRoom, Anyone, Keys, NoRecords, Observer, Records
from outthink.models import backend_of, is_object
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.ledger import Ledger
from outthink.runtime.limiter import Limiter
from outthink.runtime.roles import require_further

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class Gateway:
    """Everything that requests share. Attributes may be replaced while it runs (a reload): a request keeps what it began with.

    models:     by public name, aliases included
    keys, admission, records, observers: see `seams`
    ledger:     the books of every request; scopes of callers must be charged through it
    routes:     further routes of the application, such as /metrics and the page
    body_bytes, read_seconds, nesting: bounds of a request
    bodies:     bounds what the bodies of all requests take together
    heartbeat:  seconds between two signs of life in a stream
    """

    def __init__(
        self,
        models: Iterable[Model] = (),
        *,
        keys: Keys | None = None,
        admission: Admission | None = None,
        records: Records | None = None,
        observers: Sequence[Observer] = (),
        ledger: Ledger | None = None,
        routes: Sequence[BaseRoute] = (),
        body_bytes: int = 16 << 20,
        bodies_bytes: int = 256 << 20,
        read_seconds: float = 30.0,
        nesting: int = 64,
        heartbeat: float = 2.0,
    ) -> None:
        self.models: Mapping[str, Model] = named(models)
        self.keys: Keys = keys or Anyone()
        self.admission: Admission = admission or AlwaysRoom()
        self.records: Records = records or NoRecords()
        self.observers = tuple(observers)
        self.ledger = ledger or Ledger()
        self.routes = tuple(routes)
        self.body_bytes, self.read_seconds, self.nesting, self.heartbeat = body_bytes, read_seconds, nesting, heartbeat
        self.bodies = Bodies(bodies_bytes)
        self.draining = False
        self.under_way = 0
        self._ordinals = itertools.count()

    def why_not_ready(self) -> str:
        """Why no requests should be sent here, or ""."""
        if self.draining:
            return "draining: it ends when the requests under way have ended"
        return "" if self.models else "no model is configured"

    def next_ordinal(self) -> int:
        """The place of a request in the order of arrival: older ones go first where they compete."""
        return next(self._ordinals)

    def model(self, name: str) -> Model:
        """The public model of that name. Raises Refusal."""
        found = self.models.get(name)
        if found is None:
            raise Refusal(404, str(UnknownName("model", name, self.models)), code="model_not_found", param="model")
        return found


def named(models: Iterable[Model]) -> dict[str, Model]:
    """Models by name and alias. Raises BadInput for a name that two claim."""
    found: dict[str, Model] = {}
    for model in models:
        for name in (model.name, *model.aliases):
            if name in found:
                raise BadInput(f"two models are called {name!r}", where="models")
            found[name] = model
    return found


def new_id(prefix: str) -> str:
    """A new id, such as "chatcmpl-9f2c...": unique, and no secret."""
    return prefix + secrets.token_hex(12)


@asynccontextmanager
async def opened(
    models: Sequence[str | Path | Backend], *, ledger: Ledger, roles: Mapping[str, str] | None = None, **settings: Any
) -> AsyncIterator[list[Model]]:
    """Models as `outthink serve --model` takes them, open until the end, each under the name that its server has for it.

    roles:    who plays further roles of all of them: a model, or 'package.module:object'
    settings: further fields of each `Model`

    Raises UsageError, BackendError.
    """
    made: list[Model] = []
    for role in roles or {}:
        require_further(role, role)
    async with AsyncExitStack() as stack:

        async def at(text: str | Path | Backend) -> Endpoint:
            endpoint = Endpoint(backend_of(text), ledger, lasting=False)
            stack.push_async_callback(endpoint.backend.close)
            await endpoint.open()
            if endpoint.backend.capabilities.slots is None:
                endpoint.limiter = Limiter(start=AT_ONCE)
            return endpoint

        players = {role: await at(player) for role, player in (roles or {}).items() if not is_object(player)}
        others = {role: catalogue.role(player) for role, player in (roles or {}).items() if is_object(player)}
        for text in models:
            endpoint = await at(text)
            name = endpoint.backend.name
            endpoint.backend.capabilities.require((), "a model that clients chat with", name)
            short = name.rpartition("#")[2] if "#" in name else name.rpartition(":")[2]
            aliases = ("embedded",) if text == "embedded" else ()
            endpoints = {"generator": endpoint, "judge": endpoint, **players}
            made.append(Model(short or name, endpoints, aliases, others=others, created=int(time.time()), **settings))
        yield made
