"""A whole gateway in operation over fake servers, from a configuration file, as a test describes it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from outthink.gateway.keys import hash_of, new_key
from outthink.gateway.operation import Operation
from outthink.gateway.server import listening
from outthink.testing.fake_server import FakeServer, FakeSettings

SECRET = "upstream-secret-0123456789"


@dataclass
class Running:
    operation: Operation
    base: str
    servers: list[FakeServer]
    keys: dict[str, str]
    log: io.StringIO
    folder: Path
    session: aiohttp.ClientSession

    async def post(
        self, key: str = "alice", path: str = "/v1/chat/completions", **body: Any
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, JSON and headers of one chat request."""
        sent = {"model": "fake", "messages": [{"role": "user", "content": "p0 what?"}], "max_tokens": 64, **body}
        headers = {"Authorization": f"Bearer {self.keys.get(key, key)}"}
        async with self.session.post(self.base + path, json=sent, headers=headers) as reply:
            return reply.status, await reply.json(content_type=None), reply.headers

    async def get(self, path: str, key: str = "") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.keys.get(key, key)}"} if key else {}
        async with self.session.get(self.base + path, headers=headers) as reply:
            return reply.status, await reply.text()


def written(folder: Path, servers: list[FakeServer], keys: Mapping[str, str], settings: Mapping[str, str], more: str) -> str:
    """The configuration file: one model `fake` on all servers, these keys with these settings."""
    ups = "".join(
        f'[[models.fake.upstreams]]\nurl = "{server.url}"\nname = "u{i}"\nkey_file = "{folder / "secret"}"\n'
        for i, server in enumerate(servers)
    )
    tables = "".join(f'[keys.{name}]\nhash = "{hash_of(key)}"\n{settings.get(name, "")}\n' for name, key in keys.items())
    model = "[models.fake]\nprices = { prompt = 1.0, completion = 2.0 }\n"
    text = f'[server]\nstate = "{folder / "state"}"\n{model}{ups}{tables}{more}'
    (folder / "gateway.toml").write_text(text)
    return text


@asynccontextmanager
async def running(
    folder: Path,
    *settings: FakeSettings,
    keys: Mapping[str, str] | None = None,
    more: str = "[health]\nevery_seconds = 0.2\n",
    drain_seconds: float = 5.0,
) -> AsyncIterator[Running]:
    """It runs while the context lasts. `keys`: settings of keys by name, as lines of TOML; default: alice and an operator."""
    (folder / "secret").write_text(SECRET + "\n")
    given = keys if keys is not None else {"alice": "", "root": "operator = true"}
    made, log = {name: new_key() for name in given}, io.StringIO()
    async with AsyncExitStack() as stack:
        servers = [FakeServer(each) for each in settings or (FakeSettings(api_key=SECRET),)]
        for server in servers:
            await stack.enter_async_context(server)
        written(folder, servers, made, given, more)
        operation = await stack.enter_async_context(Operation(folder / "gateway.toml", stream=log))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with listening(operation.gateway, drain_seconds=drain_seconds) as base:
            yield Running(operation, base, servers, made, log, folder, session)
