"""Crowds: 256 clients at a host given by name, all leaving at once. Nothing goes on for nobody, and accounts are settled."""

from __future__ import annotations

import asyncio
import gc
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from outthink.core.budget import Budget
from outthink.gateway.seams import Caller
from outthink.runtime.ledger import CALLS, TOKENS, Scope
from outthink.testing.fake_server import FakeServer, FakeSettings
from tests.gateway.operating import SECRET, running
from tests.gateway.serving import gateway_over
from tests.gateway.test_requests import post
from tests.gateway.test_streams import Seen, posted, until

CROWD = 256
KINDS = ("prompt_tokens", "completion_tokens", "unknown_prompt_tokens", "unknown_completion_tokens")
SLOW = FakeSettings(latency=0.02, per_token=0.05)  # so that nobody has all before leaving: who has keeps a connection open


class Everybody:
    """Keys of one caller, whose scope tells what all of them spent together."""

    def __init__(self) -> None:
        self.scope = Scope("everybody", Budget(tokens=10**9))

    def caller(self, headers: Any, address: str) -> Caller:
        return Caller(name="everybody", scope=self.scope)


async def leaves(base: str, body: dict[str, Any], leave: asyncio.Event, *, abort: bool, key: str) -> None:
    """Asks, and is gone when all of them go: by an end or by a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    sent = json.dumps({"max_tokens": 64, **body}).encode()
    writer.write(post(sent, more=f"Authorization: Bearer {key}\r\nConnection: close\r\n".encode()))
    reading = asyncio.create_task(reader.read())
    await asyncio.wait([reading, asyncio.create_task(leave.wait())], return_when=asyncio.FIRST_COMPLETED)
    if abort:
        writer.transport.abort()
    else:
        writer.close()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def storm(base: str, gone: Callable[[], bool], seconds: float, key: str = "none") -> None:
    """256 clients with requests of every kind, who leave together after so many seconds."""
    leave = asyncio.Event()
    kinds = [("fake", True), ("fake", False), ("fake@majority:3", True), ("fake@majority:3", False), ("fake@self_refine", False)]
    crowd = []
    for at in range(CROWD):
        model, stream = kinds[at % len(kinds)]
        asked = [{"role": "user", "content": f"Case {at}: which number?"}]
        body = {"model": model, "stream": stream, "messages": asked}
        crowd.append(asyncio.create_task(leaves(base, body, leave, abort=at % 2 == 0, key=key)))
    await asyncio.sleep(seconds)
    leave.set()
    await asyncio.gather(*crowd)
    await until(gone, 30)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system doesn't tell what is open")
async def test_256_clients_that_leave_at_once_leave_nothing_behind() -> None:
    seen, keys = Seen(), Everybody()
    async with (
        FakeServer(SLOW) as server,
        gateway_over(server.url_by_name, "fake", keys=keys, observers=[seen]) as (gateway, base),
    ):
        limiter, accounts = gateway.models["fake"].generator.limiter, server.accounts

        def gone() -> bool:
            return gateway.under_way == accounts.in_flight == limiter.in_flight == limiter.waiting == 0

        kept: list[Counter[str]] = []
        for seconds in (0.02, 0.3, 0.6, 0.3, 0.0):  # before, while and after their first words; two to warm up
            await storm(base, gone, seconds)
            before = accounts.generated_tokens
            await asyncio.sleep(0.1)
            assert accounts.generated_tokens == before  # nobody is generated for
            assert (keys.scope.in_flight, any(keys.scope.reserved)) == (0, False)
            async with posted(base, model="fake@majority:2", max_tokens=4) as response:
                assert response.status == 200
            gc.collect()
            tasks = sum(not task.done() for task in asyncio.all_tasks())
            kept.append(Counter(tasks=tasks, open=descriptors(), objects=len(gc.get_objects())))
        assert kept[-1]["tasks"] <= kept[1]["tasks"]
        assert kept[-1]["open"] <= kept[1]["open"] + 8  # idle connections to the upstream
        assert kept[-1]["objects"] - kept[2]["objects"] < 60 * CROWD  # what `Seen` and the server's ledger keep of each

        told: Counter[str] = Counter()
        for ended in seen.ends:
            told.update({name: ended.usage[name] for name in ("prompt_tokens", "completion_tokens")})
            told.update(ended.usage["outthink"])
        # A call that was cut on its way to the server counts as made: what happened there can't be known.
        assert accounts.requests <= told["calls"] <= accounts.requests + sum(ended.left for ended in seen.ends) * 3
        prompt = sum(entry.prompt for entry in accounts.ledger)
        assert told["prompt_tokens"] <= prompt <= told["prompt_tokens"] + told["unknown_prompt_tokens"]
        generated = accounts.generated_tokens
        assert told["completion_tokens"] <= generated <= told["completion_tokens"] + told["unknown_completion_tokens"]
        # The books hold what may have been spent: what is known, and the most of what was lost with those who left.
        assert keys.scope.used[CALLS] == told["calls"]
        assert keys.scope.used[TOKENS] == sum(value for name, value in told.items() if name in KINDS)
        assert any(ended.left for ended in seen.ends)


@pytest.mark.slow
async def test_a_crowd_that_leaves_the_queue_of_a_gateway_in_operation(tmp_path: Path) -> None:
    limits = "[limits]\nat_once = 16\nqueue = 512\n[records]\nfolder = '" + str(tmp_path / "records") + "'\n"
    settings = FakeSettings(api_key=SECRET, latency=0.01, per_token=0.002)
    async with running(tmp_path, settings, more=limits) as run:
        admission, (server,) = run.operation.admission, run.servers

        def gone() -> bool:
            return admission.under_way == admission.waiting == run.operation.gateway.under_way == server.accounts.in_flight == 0

        for seconds in (0.3, 0.6, 0.1):
            await storm(run.base, gone, seconds, run.keys["alice"])
            assert (admission._of_key, admission._queues) == ({}, {})
            assert (await run.post())[0] == 200
        day = run.operation.spending.day("alice", Budget())
        accounts = server.accounts
        spent = sum(entry.prompt for entry in accounts.ledger) + accounts.generated_tokens
        assert day.spent["tokens"] >= spent > 0  # what was lost with those who left counts at its most
        assert day.scope.reserved == pytest.approx([0.0] * 6, abs=1e-12)  # money is a fraction
        assert '"error"' not in run.log.getvalue()
        assert "bug" not in run.log.getvalue()
