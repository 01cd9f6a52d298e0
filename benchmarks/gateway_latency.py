"""What the gateway adds to a model's server: latency of a single sample, CPU per upstream call of a vote; and how much it takes.

    python benchmarks/gateway_latency.py [--seconds 10] [--rounds 3] [--rate 100] [--peer] [--optillm FOLDER/bin/python]

The upstream is the fake server, the gateway `outthink serve`; its_hub's gateway (--peer) is installed once into an environment
of its own in the user's cache folder; optillm's (some gigabytes) is the one of an interpreter that has it. Each is a process of
its own. Latency: an open loop at 100 requests/s with an upstream that takes 300 ms, against the same loop without a gateway; the
contestants take turns in every round, and what is printed are medians over rounds. CPU: user and system time of the gateway's
process while clients ask for votes of 16 samples (optillm: five), for each upstream call.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from environments import interpreter

from outthink.testing.fake_server import FakeServerProcess, FakeSettings
from outthink.testing.gateway_process import GatewayProcess

PEER = "its_hub[iaas,lm]==1.2.0"
LATENCY = 0.3
VOTES, CLIENTS = 16, 8
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Target:
    """Something that answers chats at `url`.

    pid:       of its process
    one, vote: fields of a request for one sample, and of one for `votes` samples
    """

    name: str
    url: str
    pid: int | None
    one: dict[str, Any]
    vote: dict[str, Any]
    votes: int = VOTES


def question(at: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"What is {at} plus {at % 7}?"}]


async def open_loop(target: Target, seconds: float, rate: float) -> list[float]:
    """Latencies of requests sent at fixed times, whatever became of the ones before."""
    found: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4)) as session:

        async def ask(at: int) -> None:
            began = time.perf_counter()
            async with session.post(f"{target.url}/chat/completions", json={"messages": question(at), **target.one}) as response:
                await response.read()
                assert response.status == 200, await response.text()
            found.append(time.perf_counter() - began)

        start = time.perf_counter()
        tasks = []
        for at in range(int(seconds * rate)):
            if (wait := start + at / rate - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            tasks.append(asyncio.create_task(ask(at)))
        await asyncio.gather(*tasks)
    return found[len(found) // 10 :]  # the first tenth opens connections


async def closed_loop(target: Target, body: dict[str, Any], seconds: float, clients: int) -> tuple[int, float]:
    """Requests that were answered, and the CPU seconds that the target's process took for them."""
    before, answered, end = cpu_of(target.pid), 0, time.perf_counter() + seconds
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def client(number: int) -> None:
            nonlocal answered
            at = number
            while time.perf_counter() < end:
                at += clients
                async with session.post(f"{target.url}/chat/completions", json={"messages": question(at), **body}) as response:
                    await response.read()
                    assert response.status == 200, await response.text()
                answered += 1

        await asyncio.gather(*(client(number) for number in range(clients)))
    return answered, cpu_of(target.pid) - before


def cpu_of(pid: int | None) -> float:
    """User and system seconds of a process so far."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def gateway(process: GatewayProcess) -> Target:
    """`outthink serve` over an upstream."""
    one = {"model": "fake", "max_tokens": 64}
    return Target("outthink", process.url, process.pid, one, {**one, "model": f"fake@majority:{VOTES}"})


@contextlib.asynccontextmanager
async def serving(command: list[str], ask: Callable[[aiohttp.ClientSession], Any], **more: str) -> AsyncIterator[int]:
    """The process of a peer's gateway, once it answers what it is asked."""
    environment = {**os.environ, **more}
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=quiet, stderr=quiet, env=environment)
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(600):
                with contextlib.suppress(aiohttp.ClientError):
                    async with ask(session) as response:
                        if response.status != 200:
                            raise SystemExit(f"{command[0]} refused: {await response.text()}")
                        break
                await asyncio.sleep(0.1)
            else:
                raise SystemExit(f"{command[0]} did not start")
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


@contextlib.asynccontextmanager
async def peer(upstream: str) -> AsyncIterator[Target]:
    """its_hub's gateway with self-consistency over the upstream."""
    port = free_port()
    command = [str(interpreter(PEER).parent / "its-iaas"), "--host", "127.0.0.1", "--port", str(port), "--log-level", "WARNING"]
    base = f"http://127.0.0.1:{port}"
    settings = {
        "endpoint": upstream, "api_key": "none", "model": "fake", "alg": "self-consistency",
        "regex_patterns": [r"\\boxed\{([^{}]*)\}"],
    }  # fmt: skip
    async with serving(command, lambda session: session.post(f"{base}/configure", json=settings)) as pid:
        one = {"model": "fake", "budget": 1}
        yield Target("its_hub", f"{base}/v1", pid, one, {**one, "budget": VOTES})


@contextlib.asynccontextmanager
async def optillm(python: str, upstream: str) -> AsyncIterator[Target]:
    """optillm's proxy over the upstream; its self-consistency takes no number of samples: it draws five, one after the other."""
    port = free_port()
    command = [str(Path(python).parent / "optillm"), "--port", str(port), "--base-url", upstream, "--log", "error"]
    base = f"http://127.0.0.1:{port}"
    async with serving(command, lambda session: session.get(f"{base}/health"), OPENAI_API_KEY="none") as pid:
        one, vote = ({"model": f"{approach}-fake", "max_tokens": 64} for approach in ("none", "self_consistency"))
        yield Target("optillm", f"{base}/v1", pid, one, vote, votes=5)


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures, in turns."""
    latencies: dict[str, list[tuple[float, float]]] = {}
    cpu: dict[str, list[float]] = {}
    rate: dict[str, list[float]] = {}
    slow = FakeSettings(latency=LATENCY, ledger=False)
    fast = FakeSettings(latency=0.005, ledger=False)
    async with contextlib.AsyncExitStack() as stack:
        slow_url, fast_url = (stack.enter_context(FakeServerProcess(each)).url for each in (slow, fast))
        direct = Target("direct", slow_url, None, {"model": "fake", "max_tokens": 64}, {})
        ours = [GatewayProcess(f"{url}#fake") for url in (slow_url, fast_url)]
        over_slow, over_fast = ([gateway(stack.enter_context(each))] for each in ours)
        if arguments.peer:
            over_slow.append(await stack.enter_async_context(peer(slow_url)))
            over_fast.append(await stack.enter_async_context(peer(fast_url)))
        if arguments.optillm:
            over_slow.append(await stack.enter_async_context(optillm(arguments.optillm, slow_url)))
            over_fast.append(await stack.enter_async_context(optillm(arguments.optillm, fast_url)))
        for _ in range(arguments.rounds):
            for target in (direct, *over_slow):
                found = sorted(await open_loop(target, arguments.seconds, arguments.rate))
                tail = found[min(len(found) - 1, int(len(found) * 0.99))]
                latencies.setdefault(target.name, []).append((statistics.median(found) * 1e3, tail * 1e3))
            for target in over_fast:
                votes, spent = await closed_loop(target, target.vote, arguments.seconds, CLIENTS)
                cpu.setdefault(target.name, []).append(spent / (votes * target.votes) * 1e3)
                singles, _ = await closed_loop(target, target.one, arguments.seconds / 2, 32)
                rate.setdefault(target.name, []).append(singles / (arguments.seconds / 2))
    base = latencies["direct"]
    figures: dict[str, Any] = {"direct": {"median_ms": _median(m for m, _ in base), "p99_ms": _median(p for _, p in base)}}
    for name in cpu:
        added = [(m - base_m, p - base_p) for (m, p), (base_m, base_p) in zip(latencies[name], base, strict=True)]
        figures[name] = {
            "added_median_ms": _median(m for m, _ in added),
            "added_p99_ms": _median(p for _, p in added),
            "cpu_ms_per_upstream_call": _median(cpu[name]),
            "single_requests_per_second": _median(rate[name]),
        }
    return figures


def _median(values: Any) -> float:
    return round(statistics.median(values), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--rate", type=float, default=100.0, help="requests per second of the open loop")
    parser.add_argument("--peer", action="store_true", help="its_hub's gateway beside ours")
    parser.add_argument("--optillm", metavar="PYTHON", help="optillm's proxy beside ours, from this interpreter's environment")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = asyncio.run(measure(arguments))
    if arguments.json:
        print(json.dumps(figures, indent=1))
        return
    for name, row in figures.items():
        print(f"{name:10}" + "  ".join(f"{key} {value:g}" for key, value in row.items()))


if __name__ == "__main__":
    main()
