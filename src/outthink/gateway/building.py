"""From configured models to open ones: backends with their keys, pools, endpoints. What runs them is `operation`'s."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from outthink import catalogue
from outthink.backends.openai.address import Secret
from outthink.core.backend import Backend
from outthink.core.budget import Prices
from outthink.core.errors import BadInput
from outthink.gateway.config import Config, Health, UpstreamSettings
from outthink.gateway.config import Model as ModelSettings
from outthink.gateway.config.load import is_server, upstream_name
from outthink.gateway.model import Model
from outthink.gateway.upstream import Upstream
from outthink.gateway.upstreams import Observer, UpstreamPool
from outthink.models import backend_of
from outthink.runtime.batch import Retry
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.ledger import Ledger
from outthink.runtime.limiter import Limiter

LONGEST_KEY = 8192


@dataclass(slots=True)
class Built:
    """One public model's pool and endpoint, while it serves.

    made_of: what it depends on; a reload that changes none of it keeps it
    users:   requests that began with it and have not ended
    retired: a reload took it out of service: it is closed when its last request ends
    """

    pool: UpstreamPool
    endpoint: Endpoint
    made_of: object
    users: int = 0
    retired: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)


def key_of(upstream: UpstreamSettings, where: str) -> str:
    """The API key of an upstream, read now. Raises BadInput, without the key."""
    if upstream.key_variable:
        return os.environ.get(upstream.key_variable, "").strip()
    if upstream.key_file is not None:
        try:
            with upstream.key_file.open(encoding="utf-8") as file:
                return file.read(LONGEST_KEY).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"can't be read: {getattr(error, 'strerror', None) or 'it is no text'}", where=where) from None
    return upstream.key


def build(
    name: str,
    config: Config,
    ledger: Ledger,
    observers: Callable[[str], Sequence[Observer]],
    *,
    now: Callable[[], float] | None = None,
) -> Built:
    """A public model's pool and endpoint, not yet open. Raises BadInput, UnknownName, MissingExtra."""
    settings = config.models[name]
    keys = [key_of(each, f"models.{name}.upstreams[{at}].key_file") for at, each in enumerate(settings.upstreams)]
    upstreams = [
        _upstream(each, key, settings.prices, config.health, now) for each, key in zip(settings.upstreams, keys, strict=True)
    ]
    pool = UpstreamPool(name, upstreams, prices=settings.prices, health=config.health, observers=observers(name))
    endpoint = Endpoint(pool, ledger, concurrency=1, retry=Retry(timeout=None), lasting=False)
    return Built(pool, endpoint, made_of(settings, config.health, keys), secrets=tuple(key for key in keys if key))


def made_of(settings: ModelSettings, health: Health, keys: Sequence[str]) -> object:
    """What decides whether a model's pool must be made anew."""
    return (settings.upstreams, settings.prices, health, tuple(keys))


async def opened(built: Built) -> Built:
    """Open it. Raises UsageError where waiting won't mend it; upstreams that can't be reached now are tried again later."""
    await built.endpoint.open()
    # Each upstream has a limiter of its own; the endpoint's only bounds all of them together.
    built.endpoint.limiter = Limiter(built.pool.concurrency)
    return built


def _upstream(
    settings: UpstreamSettings, key: str, prices: Prices | None, health: Health, now: Callable[[], float] | None
) -> Upstream:
    name = upstream_name(settings)

    def make() -> Backend:
        # Without a key of its own it gets none: a key of the environment belongs to one server, not to all of them.
        secret = Secret.of(key, f"the key of upstream {name}")
        if not is_server(settings.url):
            return backend_of(settings.url, prices=prices, key=secret)
        from outthink.backends.openai import OpenAIBackend
        from outthink.backends.probe import ProbeReport

        probed = None if settings.probed is None else ProbeReport.read(settings.probed).capabilities()
        return OpenAIBackend(
            settings.url, model=settings.model, engine=settings.engine, capabilities=probed, prices=prices, key=secret
        )

    return Upstream(
        name,
        make,
        weight=settings.weight,
        concurrency=settings.concurrency,
        timeout=settings.timeout_seconds,
        health=health,
        now=now,
    )


def public(config: Config, built: Mapping[str, Built], created: int) -> list[Model]:
    """The models that clients may name, as requests see them. Raises BadInput for an object that can't play its role."""
    made = []
    for name, settings in config.models.items():
        if not settings.public:
            continue
        endpoint = built[name].endpoint
        players = {role: built[player].endpoint for role, player in settings.roles.items() if player in built}
        made.append(
            Model(
                name,
                {"generator": endpoint, "judge": endpoint, **players},
                aliases=settings.aliases,
                strategy=settings.strategy or config.defaults.strategy,
                parameters=settings.parameters,
                budget=settings.budget or config.defaults.budget,
                task=settings.task,
                verifier=settings.verifier,
                verifiers=settings.verifiers,
                sampling=settings.sampling,
                others={role: catalogue.role(player) for role, player in settings.roles.items() if player not in built},
                created=created,
            )
        )
    return made
