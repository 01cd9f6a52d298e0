"""Every misbehaviour of the fake server is seen by a strict client, and its accounts stay true."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import aiohttp
import pytest

from outthink.testing.fake_server import FAULTS, WIRE_FAULTS, FakeSettings
from outthink.testing.fake_server.faults import FaultDraws
from tests.testing.fake_client import Client, serving, until


async def test_keeps_generating_holds_the_slot_to_the_end() -> None:
    async with serving(per_token=0.001, faults={"keeps_generating": 1}) as client:
        for stream in (True, False):
            leaving = asyncio.ensure_future(client.ask(stream=stream, seed=1))
            await until(lambda: client.server.accounts.generating)
            leaving.cancel()
            await until(lambda: not client.server.accounts.generating)
        whole = len(await client.events(seed=1)) - 1
    assert [entry.generated for entry in client.server.accounts.ledger] == [whole] * 3


async def test_faults_of_content() -> None:
    async with serving() as client:
        true = await client.text(seed=1)
    ask = {"seed": 1, "n": 2, "stop": "Step 2", "max_tokens": 12, "logprobs": True}
    seen: dict[str, Any] = {}
    for name in FAULTS.keys() - WIRE_FAULTS.keys() - {"keeps_generating"}:
        async with serving(faults={name: 1}) as client:
            seen[name] = await client.ask(**ask)
            if name == "ignores_seed":
                seen[name] = {await client.text(seed=1) for _ in range(3)}
            events = await client.events(**ask)
            assert name == "empty_choices" or events
    assert len(seen["ignores_n"]["choices"]) == 1
    assert seen["null_logprobs"]["choices"][0]["logprobs"] is None
    assert any(math.isnan(token["logprob"]) for token in seen["nan_logprobs"]["choices"][1]["logprobs"]["content"])
    assert len(seen["ignores_seed"]) == 3
    assert seen["ignores_max_tokens"]["usage"]["completion_tokens"] > 24
    assert seen["wrong_usage"]["usage"]["completion_tokens"] != 24
    assert "usage" not in seen["missing_usage"]
    assert seen["empty_choices"]["choices"] == []
    assert [choice["message"]["content"] for choice in seen["null_content"]["choices"]] == [None, None]
    assert [choice["index"] for choice in seen["duplicate_indices"]["choices"]] == [0, 0, 0]
    async with serving(faults={"swallows_stop": 1}) as client:
        assert await client.text(seed=1, stop="Step 2") == true


async def symptom(client: Client, stream: bool) -> str:
    """What a strict client sees of one request."""
    try:
        async with client.post(seed=1, stream=stream) as reply:
            if reply.status != 200:
                return f"{reply.status} {'Retry-After' in reply.headers} {reply.content_type}"
            text = (await reply.read()).decode()
            lines = [line[6:] for line in text.split("\n\n") if line[6:] not in ("", "[DONE]")] if stream else [text]
            return "fine" if all("choices" in json.loads(line) for line in lines) else "no choices"
    except (aiohttp.ClientError, ValueError) as problem:
        return type(problem).__name__


SYMPTOMS = {
    "rate_limit": ("429 True application/json",) * 2,
    "rate_limit_bare": ("429 False application/json",) * 2,
    "server_error": ("500 False application/json",) * 2,
    "bad_gateway_html": ("502 False text/html",) * 2,
    "error_as_200": ("no choices", "JSONDecodeError"),
    "redirect_loop": ("307 False application/json",) * 2,
    "disconnect": ("ServerDisconnectedError",) * 2,
    "half_stream": ("ClientPayloadError",) * 2,
    "wrong_length": ("ClientPayloadError",) * 2,
    "truncated_json": ("JSONDecodeError",) * 2,
    "malformed_json": ("JSONDecodeError",) * 2,
    "bad_utf8": ("UnicodeDecodeError",) * 2,
    "slow_drip": ("fine",) * 2,
    "huge_body": ("fine", "JSONDecodeError"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", SYMPTOMS)
async def test_faults_of_the_wire(name: str, stream: bool) -> None:
    async with serving(faults={name: 1}, drip=0.0001, huge=1_000_000) as client:
        assert await symptom(client, stream) == SYMPTOMS[name][stream]
        (entry,) = client.server.accounts.ledger
        await until(lambda: not client.server.accounts.in_flight)
    refused = name in list(WIRE_FAULTS)[:6]
    assert (entry.outcome, entry.faults) == ("refused" if refused else entry.outcome, (name,))
    assert (entry.generated == 0) == (refused or (name == "disconnect" and stream))
    assert (entry.delivered > 0) == (not refused and name != "disconnect")


async def test_a_hang_never_answers_and_costs_nothing() -> None:
    async with serving(faults={"hang": 1}) as client:
        asking = asyncio.ensure_future(client.ask())
        await until(lambda: client.server.accounts.generating == 1)
        await asyncio.sleep(0.02)
        assert not asking.done()
        asking.cancel()
        await until(lambda: client.server.accounts.cancelled == 1)
        assert client.server.accounts.generated_tokens == 0


def test_faults_are_seeded_and_come_as_often_as_told() -> None:
    settings = FakeSettings(faults={"hang": 0.1, "null_content": 0.2, "server_error": 0.1}, fault_seed=4)
    first, second = FaultDraws(settings), FaultDraws(settings)
    drawn = [first.draw() for _ in range(5000)]
    assert drawn == [second.draw() for _ in range(5000)]
    assert sum("null_content" in faults for faults in drawn) / 5000 == pytest.approx(0.2, abs=0.03)
    assert sum("server_error" in faults for faults in drawn) / 5000 == pytest.approx(0.1, abs=0.02)
    assert all(len(WIRE_FAULTS.keys() & set(faults)) <= 1 for faults in drawn)


def test_a_storm_refuses_requests_in_a_row() -> None:
    draws = FaultDraws(FakeSettings(faults={"rate_limit": 0.02}, storm=5))
    text = "".join("x" if draws.draw() else "." for _ in range(2000)).rstrip("x")
    assert all(len(run) % 5 == 0 for run in text.split(".") if run)
    assert "x" in text
