"""A configured gateway with keys and records, for the tests of its page: alice has a budget, bob none, an operator sees all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import aiohttp

from outthink.gateway.keys import hash_of, new_key
from outthink.gateway.operation import Operation
from outthink.gateway.server import listening
from tests.gateway.serving import Upstream, says, upstream_at

KEYS = {name: new_key() for name in ("alice", "bob", "operator")}
CONFIG = """
[server]
state = "{folder}/state"
[models.up]
strategy = "majority:4"
prices = {{ prompt = 1.0, completion = 2.0 }}
upstreams = [{{ url = "{url}", model = "up" }}]
[keys.alice]
hash = "{alice}"
daily_budget = "100k tokens"
[keys.bob]
hash = "{bob}"
record = false
[keys.operator]
hash = "{operator}"
operator = true
[records]
folder = "{folder}/records"
"""


@dataclass
class Paged:
    """A gateway that listens at `url`, over `upstream`."""

    url: str
    operation: Operation
    upstream: Upstream
    session: aiohttp.ClientSession

    async def ask(self, who: str = "alice", text: str = "What is 6 times 7?", **body: Any) -> dict[str, Any]:
        """A chat completion asked for with somebody's key."""
        document = {"model": "up", "messages": [{"role": "user", "content": text}], **body}
        headers = {"Authorization": f"Bearer {KEYS.get(who, who)}"}
        async with self.session.post(f"{self.url}/v1/chat/completions", json=document, headers=headers) as response:
            return await response.json()  # type: ignore[no-any-return]

    async def get(self, path: str, who: str | None = None, **query: str) -> tuple[int, Any]:
        """Status and JSON (else text) of one of the page's paths."""
        headers = {"Authorization": f"Bearer {KEYS.get(who, who)}"} if who else {}
        async with self.session.get(f"{self.url}/page/{path}", params=query, headers=headers) as response:
            return response.status, await (response.json() if "json" in response.content_type else response.text())

    async def until(self, so: Callable[[], Awaitable[Any]]) -> Any:
        """Wait until something is so: records are written beside the requests."""
        async with asyncio.timeout(60):
            while not (found := await so()):  # noqa: ASYNC110  # it lies in a file that a thread writes
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def paged(folder: Path, **upstream: Any) -> AsyncIterator[Paged]:
    """A running gateway; three of four samples say 42."""
    given = {"script": [says(f"I think that the answer is \\boxed{{{each}}}.") for each in (42, 42, 41, 42)], **upstream}
    server = Upstream(**given)
    async with upstream_at(server) as url:
        file = folder / "gateway.toml"
        file.write_text(CONFIG.format(folder=folder, url=url, **{name: hash_of(key) for name, key in KEYS.items()}))
        async with (
            Operation(file, stream=StringIO()) as operation,
            listening(operation.gateway, drain_seconds=1) as base,
            aiohttp.ClientSession() as session,
        ):
            yield Paged(base, operation, server, session)
