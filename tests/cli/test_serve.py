"""`outthink serve` as its users start and stop it."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import aiohttp
import pytest
from click.testing import CliRunner

from outthink.cli.app import app
from outthink.core.errors import BadInput
from outthink.testing.fake_server import FakeServer, FakeSettings
from outthink.testing.gateway_process import GatewayProcess
from tests.gateway.test_streams import until


def test_a_model_or_a_configuration() -> None:
    for words in ([], ["--model", "embedded", "--config", __file__]):
        result = CliRunner().invoke(app, ["serve", *words])
        assert isinstance(result.exception, BadInput)


def test_a_gateway_that_cannot_start_says_why() -> None:
    gateway = GatewayProcess("http://127.0.0.1:9#fake", "--strategy", "majorty:3")
    with pytest.raises(RuntimeError, match="no strategy is called 'majorty'"):
        gateway.__enter__()


async def test_it_serves_and_lets_requests_end_when_it_is_told_to() -> None:
    async with FakeServer(FakeSettings(latency=0.5)) as server:
        gateway = GatewayProcess(f"{server.url}#fake", "--strategy", "majority:2")
        await asyncio.to_thread(gateway.__enter__)
        async with aiohttp.ClientSession() as session:

            async def ask() -> int:
                body = {"model": "fake", "messages": [{"role": "user", "content": "What is 1+1?"}]}
                async with session.post(f"{gateway.url}/chat/completions", json=body) as response:
                    assert json.loads(await response.read())["usage"]["outthink"]["calls"] == 2
                    return response.status

            task = asyncio.create_task(ask())
            await until(lambda: server.accounts.in_flight == 2)
            await asyncio.to_thread(gateway.__exit__, None, None, None)
            assert await task == 200
    assert gateway.returncode == 0
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(urllib.request.urlopen, f"{gateway.url}/models")
