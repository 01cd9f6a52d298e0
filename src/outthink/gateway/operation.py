"""A gateway in operation: everything that its configuration describes, built, replaced on reload, and taken down in order.

    async with Operation("gateway.toml") as operation: ...operation.gateway...

A reload builds what changed, opens it, and only then lets it take the place of the old: a file that can't be used changes
nothing. Requests keep what they began with; what no request uses any more is closed. There is no way to change anything over
HTTP. What each part does lives in its module.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from outthink.core.errors import JournalDamaged, OutthinkError
from outthink.gateway import config, health
from outthink.gateway.admission import Admission
from outthink.gateway.bookkeeping import Bookkeeper
from outthink.gateway.building import Built, build, key_of, made_of, opened, public
from outthink.gateway.gateway import Gateway, named
from outthink.gateway.guesses import Guesses
from outthink.gateway.keys import KeyRing
from outthink.gateway.logs import Logs, event
from outthink.gateway.metrics import Metrics
from outthink.gateway.page import add_page
from outthink.gateway.pages import metrics_route
from outthink.gateway.records import Recorder
from outthink.gateway.retention import sweep
from outthink.gateway.seams import Asked, Observer
from outthink.gateway.secrecy import Hider
from outthink.gateway.spending import Spending
from outthink.gateway.state import gauges, state
from outthink.gateway.upstreams import Observer as CallObserver

if TYPE_CHECKING:
    from outthink.gateway.tracing import Tracing

FLUSH_SECONDS = 5.0
SWEEP_SECONDS = 600.0
RETIRE_SECONDS = 1.0
_FIXED = ("host", "port", "state", "timezone")
"""Settings of [server] that only a restart changes."""


class Operation:
    """One gateway and all that serves it. Raises UsageError on entering where the configuration can't be used.

    file:   its configuration
    stream: where its log goes instead of stderr
    """

    def __init__(self, file: str | Path, *, stream: Any = None) -> None:
        self.file = Path(file)
        self.config = config.read(file)
        self.hide = Hider()
        self.logs = Logs(self.config.logs, self.hide, stream)
        self.spending = Spending(self.config.server.state, self.config.server.timezone)
        self.metrics = Metrics(time.monotonic, lambda: gauges(self))
        self.admission = Admission(self.config.limits, self.spending, waited=self._waited)
        self.guesses = Guesses(self.config.limits.wrong_keys_per_minute)
        self.recorder: Recorder | None = None
        self.tracing: Tracing | None = None
        self.built: dict[str, Built] = {}
        self.gateway: Gateway = Gateway()
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self.retired: list[Built] = []
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            self.logs.open()
            self._stack.callback(self.logs.close)
            self.spending.open()
            self._stack.callback(self.spending.close)
            if self.config.tracing.endpoint:
                from outthink.gateway.tracing import Tracing

                self.tracing = Tracing(self.config.tracing, self.hide)
                self._stack.push_async_callback(asyncio.to_thread, self.tracing.close)
            about = {"config": str(self.file.resolve()), "folder": os.getcwd()}
            self.recorder = Recorder(self.config.records, dropped=self._dropped, about=about)
            self._stack.push_async_callback(self.recorder.close)
            self.built = await self._build(self.config)
            self._stack.push_async_callback(self._close_all)
            observers: list[Observer] = [self.logs, self.metrics, Bookkeeper(self)]
            if self.tracing is not None:
                observers.append(self.tracing)
            self.gateway = Gateway(
                public(self.config, self.built, int(time.time())),
                keys=self._keys(self.config),
                admission=self.admission,
                records=self.recorder,
                observers=observers,
                ledger=self.spending.ledger,
                routes=[metrics_route(self)],
                body_bytes=self.config.limits.body_bytes,
                bodies_bytes=self.config.limits.bodies_bytes,
                read_seconds=self.config.limits.read_seconds,
                nesting=self.config.limits.nesting,
            )
            add_page(self.gateway, lambda: state(self))
            self._watch_all()
            self._keep(self._house())
            self._stack.push_async_callback(self._stop_tasks)
        except BaseException:
            await self._stack.aclose()
            raise
        event("started", models=list(self.config.models), keys=len(self.config.keys), file=str(self.file))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        event("stopped")
        await self._stack.aclose()

    def reload(self) -> None:
        """Read the file again and go on with what it says; what SIGHUP calls. Errors are logged and change nothing."""
        self._keep(self.reloaded())

    async def reloaded(self) -> bool:
        """Reload and wait for it; whether the file could be used."""
        async with self._reloading:
            try:
                new = await asyncio.to_thread(config.read, self.file)
                await self._adopt(new)
            except (OutthinkError, OSError) as error:
                self.metrics.reloads.labels("refused").inc()
                event("reload refused", logging.ERROR, message=str(error))
                return False
            self.metrics.reloads.labels("done").inc()
            event("reloaded", models=list(new.models), keys=len(new.keys))
            return True

    async def _adopt(self, new: config.Config) -> None:
        assert self.recorder is not None
        kept = {name: self.built[name] for name in new.models if name in self.built and self._unchanged(name, new)}
        made = await self._build(new, kept)
        try:
            models = named(public(new, made, int(time.time())))
            self.recorder.adopt(new.records)
        except BaseException:
            await _close([each for name, each in made.items() if name not in kept])
            raise
        for setting in _FIXED:
            if getattr(new.server, setting) != getattr(self.config.server, setting):
                event("needs a restart", logging.WARNING, setting=f"server.{setting}")
        if new.tracing != self.config.tracing:
            event("needs a restart", logging.WARNING, setting="tracing")
        gone = [each for name, each in self.built.items() if made.get(name) is not each]
        self.config, self.built = new, made
        self.gateway.models = models
        self.gateway.keys = self._keys(new)
        self.gateway.body_bytes, self.gateway.read_seconds = new.limits.body_bytes, new.limits.read_seconds
        self.gateway.nesting, self.gateway.bodies.most = new.limits.nesting, new.limits.bodies_bytes
        self.guesses.adopt(new.limits.wrong_keys_per_minute)
        self.admission.adopt(new.limits)
        self.logs.adopt(new.logs)
        self._watch_all()
        for built in gone:
            built.retired = True
            self.retired.append(built)

    def _unchanged(self, name: str, new: config.Config) -> bool:
        settings = new.models[name]
        keys = [key_of(each, f"models.{name}.upstreams[{at}].key_file") for at, each in enumerate(settings.upstreams)]
        return self.built[name].made_of == made_of(settings, new.health, keys)

    async def _build(self, new: config.Config, kept: dict[str, Built] | None = None) -> dict[str, Built]:
        made = dict(kept or {})
        fresh = [build(name, new, self.spending.ledger, self._call_observers) for name in new.models if name not in made]
        for built in fresh:
            self.hide.add(built.secrets)
        outcomes = await asyncio.gather(*map(opened, fresh), return_exceptions=True)
        failed = [error for error in outcomes if isinstance(error, BaseException)]
        if failed:
            await _close([built for built, outcome in zip(fresh, outcomes, strict=True) if outcome is built])
            raise failed[0]
        made.update({built.pool.public: built for built in fresh})
        return made

    def _call_observers(self, model: str) -> list[CallObserver]:
        return [self.metrics.call(model), *([self.tracing.call] if self.tracing is not None else [])]

    def _keys(self, new: config.Config) -> KeyRing:
        return KeyRing(new.keys, self.spending, keyless=new.keyless, guesses=self.guesses)

    def _watch_all(self) -> None:
        for name in list(self._watchers):
            if name not in self.built or self.built[name].retired:
                self._watchers.pop(name).cancel()
        for name, built in self.built.items():
            old = self._watchers.get(name)
            if old is None or old.get_name() != str(id(built)):
                if old is not None:
                    old.cancel()
                self._watchers[name] = self._keep(health.watch(built.pool, self._reachable), name=str(id(built)))

    def _reachable(self, model: str, upstream: str, reachable: bool, why: str) -> None:
        level = logging.INFO if reachable else logging.WARNING
        event("upstream back" if reachable else "upstream gone", level, model=model, upstream=upstream, message=why)

    async def _house(self) -> None:
        """What must be done now and then."""
        swept = 0.0
        while True:
            with suppress(JournalDamaged):  # told by `spending.unwritable`
                self.spending.flush()
            if time.monotonic() - swept > SWEEP_SECONDS or not swept:
                swept = time.monotonic()
                with suppress(OSError):
                    if gone := await asyncio.to_thread(sweep, self.config.records):
                        event("records deleted", count=gone)
            for built in [each for each in self.retired if not each.users]:
                self.retired.remove(built)
                await _close([built])
            await asyncio.sleep(RETIRE_SECONDS if self.retired else FLUSH_SECONDS)

    def _keep(self, body: Any, name: str | None = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.create_task(body, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stop_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _close_all(self) -> None:
        await _close([*self.built.values(), *self.retired])

    def _waited(self, asked: Asked, seconds: float) -> None:
        self.metrics.waited(asked, seconds)
        self.logs.waited(asked, seconds)

    def _dropped(self, why: str) -> None:
        self.metrics.records_dropped.inc()
        event("record dropped", logging.ERROR, message=why)


async def _close(all_: Iterable[Built]) -> None:
    async with AsyncExitStack() as stack:  # one that can't be closed keeps no other open
        for built in all_:
            stack.push_async_callback(built.pool.close)


async def serve_configured(
    file: str,
    *,
    host: str | None = None,
    port: int | None = None,
    told: Callable[[str], None] | None = None,
) -> None:
    """Serve what a configuration file describes until SIGTERM; `host` and `port` go before what it says."""
    from outthink.gateway.server import serve

    async with Operation(file) as operation:
        server = operation.config.server
        await serve(
            operation.gateway,
            host=host or server.host,
            port=server.port if port is None else port,
            drain_seconds=server.drain_seconds,
            reload=operation.reload,
            told=told,
        )
