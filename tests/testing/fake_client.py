"""A strict client of the fake server, for tests of the server itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from outthink.testing.fake_server import FakeServer, FakeSettings, HashWorld

CASE = HashWorld().problems(1)[0][0]


class Client:
    def __init__(self, server: FakeServer, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session

    def post(self, path: str = "chat/completions", **body: Any) -> Any:
        if path == "chat/completions":
            body.setdefault("messages", [{"role": "user", "content": CASE}])
        return self.session.post(f"{self.server.url}/{path}", json=body, allow_redirects=False)

    async def ask(self, path: str = "chat/completions", **body: Any) -> Any:
        async with self.post(path, **body) as reply:
            assert reply.status == 200, await reply.text()
            return json.loads(await reply.read())

    async def text(self, **body: Any) -> str:
        return (await self.ask(**body))["choices"][0]["message"]["content"]

    async def events(self, **body: Any) -> list[dict[str, Any]]:
        async with self.post(stream=True, **body) as reply:
            lines = [line.removeprefix("data: ") for line in (await reply.text()).split("\n\n") if line]
        assert lines.pop() == "[DONE]"
        return [json.loads(line) for line in lines]


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Client]:
    async with FakeServer(FakeSettings(**settings)) as server, aiohttp.ClientSession() as session:
        yield Client(server, session)


async def until(condition: Any) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.001)
