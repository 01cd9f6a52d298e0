"""The page's paths: its files for everyone, what they show for whoever has a key, each only what is its own.

The page's files hold no data, so that a browser, which sends no key by itself, can load them and ask for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outthink.core.errors import BadInput, JournalDamaged, MissingExtra, UnknownName
from outthink.gateway.gateway import Gateway
from outthink.gateway.page.watch import Watch
from outthink.gateway.refusal import Refusal
from outthink.gateway.runs import each
from outthink.gateway.seams import Asked, Caller
from outthink.report import page
from outthink.runtime.recorded import read_header

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

    Answer = Callable[[Request, Caller], Awaitable[dict[str, Any]]]

AT = "/page"
READERS = 2
"""Records that are read at a time: a large one takes a second of CPU, which requests need more."""


def add_page(gateway: Gateway, state: Callable[[], Mapping[str, Any]] = dict) -> None:
    """Give a gateway its page, before its application is made. Raises MissingExtra.

    state: what operators see of the gateway itself: `state.state`
    """
    watch = Watch()
    gateway.observers = (*gateway.observers, watch)
    gateway.routes = (*gateway.routes, *_routes(gateway, watch, state))


def _routes(gateway: Gateway, watch: Watch, state: Callable[[], Mapping[str, Any]]) -> list[BaseRoute]:
    try:
        from starlette.responses import JSONResponse, RedirectResponse, Response
        from starlette.routing import Route
    except ImportError:
        raise MissingExtra("the gateway", "serve") from None

    async def moved(request: Request) -> Response:
        return RedirectResponse(f"{AT}/", headers=page.HEADERS)

    async def file(request: Request) -> Response:
        found = page.static(request.path_params.get("name") or "index.html")
        if found is None:
            return Response("there is nothing here\n", 404, page.HEADERS, "text/plain")
        return Response(found[0], 200, page.HEADERS, found[1])

    def route(name: str, answer: Answer) -> Route:
        async def answered(request: Request) -> Response:
            try:
                caller = gateway.keys.caller(request.headers, request.client.host if request.client else "")
                return JSONResponse(await answer(request, caller), headers=page.HEADERS)
            except Refusal as refusal:
                return JSONResponse(refusal.document(), refusal.status, {**refusal.headers(), **page.HEADERS})

        return Route(f"{AT}/data/{name}", answered)

    data = _Data(gateway, watch, state)
    given = [route("home", data.home), route("run", data.run), route("sample", data.sample)]
    return [Route(AT, moved), *given, Route(f"{AT}/", file), Route(f"{AT}/{{name}}", file)]


class _Data:
    """What the page asks for, as JSON."""

    def __init__(self, gateway: Gateway, watch: Watch, state: Callable[[], Mapping[str, Any]]) -> None:
        self._gateway, self._watch, self._state = gateway, watch, state
        self._reading = asyncio.Semaphore(READERS)

    async def home(self, request: Request, caller: Caller) -> dict[str, Any]:
        """Requests, sums and budgets."""
        told = self._watch.told(caller, self._recorded)
        known = self._state() if caller.operator else {}
        of_all = {"waiting": known.get("waiting"), "upstreams": known.get("models", {})}
        return {"kind": "gateway", "title": "Gateway", "draining": self._gateway.draining, **told, **of_all}

    async def run(self, request: Request, caller: Caller) -> dict[str, Any]:
        """One request's run."""
        name = request.query_params.get("run", "")
        found = await self._read(name, caller, lambda path: page.run(path, None, {each.name: each}))
        return found | {"name": name, "live": self._watch.going(name)}

    async def sample(self, request: Request, caller: Caller) -> dict[str, Any]:
        """The whole text of one of its samples."""
        asked = request.query_params
        return await self._read(asked.get("run", ""), caller, lambda path: page.sample(path, None, asked.get("sample", "")))

    def _recorded(self, asked: Asked) -> bool:
        wanted = getattr(self._gateway.records, "wanted", None)
        return wanted is not None and bool(wanted(asked))

    async def _read(self, name: str, caller: Caller, of: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """What `of` makes of a request's record, if it is the caller's; another's is as good as missing. Raises Refusal."""
        find = getattr(self._gateway.records, "find", None)

        def read() -> dict[str, Any]:
            path = find(name) if find is not None and name else None
            if path is None or not (caller.operator or read_header(path).get("key") == caller.name):
                raise UnknownName("request", "", [])
            return of(path)

        async with self._reading:
            try:
                return await asyncio.to_thread(read)
            except (BadInput, JournalDamaged, UnknownName):
                pass
        if self._watch.going(name):
            raise Refusal(404, "This request has just begun: its record can be read in a moment.", code="not_recorded_yet")
        raise Refusal(404, "There is no record of this request under this key.", code="not_found")
