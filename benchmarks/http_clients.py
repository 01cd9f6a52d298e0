"""Which HTTP client costs least: wall clock and CPU per call of asyncio clients, against the fake server at 5 ms latency.

    pip install httpx niquests orjson && python benchmarks/http_clients.py

The server is a process of its own; the clients take turns in every round, so that a busy machine hits all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp

from outthink.testing.fake_server import FakeServerProcess, FakeSettings, HashWorld

Call = Callable[[dict[str, Any]], Awaitable[Any]]
Loads = Callable[[bytes], Any]


@asynccontextmanager
async def aiohttp_plain(url: str, limit: int) -> AsyncIterator[Call]:
    """As its tutorial says."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=limit)) as session:

        async def call(body: dict[str, Any]) -> Any:
            async with session.post(url, json=body) as reply:
                return await reply.json()

        yield call


def aiohttp_tuned(loads: Loads, encode: Callable[[Any], bytes], **options: Any) -> Any:
    """No cookies, no automatic headers, a body that is bytes, `read` instead of `json`."""

    @asynccontextmanager
    async def client(url: str, limit: int) -> AsyncIterator[Call]:
        connector = aiohttp.TCPConnector(limit=limit, **options)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        async with aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding"),
            timeout=aiohttp.ClientTimeout(total=None),
        ) as session:

            async def call(body: dict[str, Any]) -> Any:
                async with session.post(url, data=encode(body), allow_redirects=False) as reply:
                    return loads(await reply.read())

            yield call

    return client


@asynccontextmanager
async def httpx_plain(url: str, limit: int) -> AsyncIterator[Call]:
    """As its tutorial says."""
    import httpx

    limits = httpx.Limits(max_connections=limit, max_keepalive_connections=limit)
    async with httpx.AsyncClient(limits=limits, timeout=None) as session:

        async def call(body: dict[str, Any]) -> Any:
            return (await session.post(url, json=body)).json()

        yield call


@asynccontextmanager
async def niquests_plain(url: str, limit: int) -> AsyncIterator[Call]:
    """As its tutorial says."""
    import niquests

    async with niquests.AsyncSession(pool_connections=1, pool_maxsize=limit) as session:

        async def call(body: dict[str, Any]) -> Any:
            return (await session.post(url, json=body)).json()

        yield call


@asynccontextmanager
async def pyreqwest_plain(url: str, limit: int) -> AsyncIterator[Call]:
    """Rust's reqwest, one of its bindings."""
    from pyreqwest.client import ClientBuilder

    async with ClientBuilder().max_connections(limit).pool_max_idle_per_host(limit).build() as session:

        async def call(body: dict[str, Any]) -> Any:
            reply = await session.post(url).body_json(body).build().send()
            return await reply.json()

        yield call


def encoded(body: Any) -> bytes:
    """The standard library's JSON, compact."""
    return json.dumps(body, separators=(",", ":")).encode()


def clients() -> dict[str, Any]:
    """Every client by name; those that are not installed are left out, and said so."""
    found: dict[str, Any] = {"aiohttp": aiohttp_plain, "aiohttp tuned": aiohttp_tuned(json.loads, encoded)}
    try:
        import orjson

        found["aiohttp tuned, orjson"] = aiohttp_tuned(orjson.loads, orjson.dumps)
    except ImportError:
        print("not installed: orjson")
    for name, client in (("httpx", httpx_plain), ("niquests", niquests_plain), ("pyreqwest", pyreqwest_plain)):
        try:
            __import__(name)
            found[name] = client
        except ImportError:
            print(f"not installed: {name}")
    return found


async def measure(client: Any, url: str, concurrency: int, bodies: list[dict[str, Any]]) -> tuple[float, float]:
    """Wall seconds and CPU milliseconds per call of sending every body once."""
    async with AsyncExitStack() as stack:
        call = await stack.enter_async_context(client(url, concurrency))
        await asyncio.gather(*(call(body) for body in bodies[:concurrency]))  # connections are open before the clock runs
        left = iter(bodies)

        async def worker() -> None:
            for body in left:
                reply = await call(body)
                assert reply["choices"][0]["message"]["content"]

        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker() for _ in range(concurrency)))
        return time.perf_counter() - wall, (time.process_time() - cpu) * 1000 / len(bodies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=12_800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--only", default="", help="clients whose name contains this")
    options = parser.parse_args()
    problems = HashWorld().problems(200)
    bodies = [
        {"model": "fake", "messages": [{"role": "user", "content": problems[at % 200][0]}], "temperature": 0.7, "seed": at}
        for at in range(options.calls)
    ]
    chosen = {name: client for name, client in clients().items() if options.only in name}
    print(f"{'client':24}{'concurrency':>12}{'wall s':>9}{'calls/s':>9}{'CPU ms/call':>13}   median of {options.rounds}")
    for concurrency in options.concurrency:
        rows: dict[str, list[tuple[float, float]]] = {name: [] for name in chosen}
        with FakeServerProcess(FakeSettings(latency=0.005, ledger=False)) as server:
            for _ in range(options.rounds):
                for name, client in chosen.items():
                    rows[name].append(asyncio.run(measure(client, f"{server.url}/chat/completions", concurrency, bodies)))
        for name, row in rows.items():
            wall, cpu = (statistics.median(column) for column in zip(*row, strict=True))
            print(f"{name:24}{concurrency:>12}{wall:>9.2f}{options.calls / wall:>9.0f}{cpu:>13.3f}")


if __name__ == "__main__":
    main()
