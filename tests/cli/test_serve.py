"""`outthink serve` as its users start and stop it."""

from __future__ import annotations

import asyncio
import json
import urllib.request

import aiohttp
import pytest
from click.testing import CliRunner

from outthink.cli.app import app
from outthink.core.errors import BadInput, UsageError
from outthink.testing.fake_server import FakeServer, FakeSettings
from outthink.testing.gateway_process import GatewayProcess
from tests.gateway.test_streams import until


def test_a_model_or_a_configuration() -> None:
    for words in ([], ["--model", "embedded", "--config", __file__]):
        result = CliRunner().invoke(app, ["serve", *words])
        assert isinstance(result.exception, BadInput)


@pytest.mark.parametrize("option", ["--strategy", "--task", "--verifier", "--verifier-setting", "--role"])
def test_what_the_configuration_says_is_not_said_twice(option: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--config", __file__, option, "a=b"])
    assert isinstance(result.exception, BadInput)
    assert str(result.exception).startswith(f"{option}: is for --model")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--strategy", "majorty:3"], "no strategy is called 'majorty'"),
        (["--task", "maths"], "no task is called 'maths'"),
        (["--verifier", "juge"], "no verifier is called 'juge'"),
        (["--verifier", "reward", "--verifier-setting", "place=x"], "place"),
        (["--verifier-setting", "place=1"], "there is no verifier to set"),
        (["--role", "prm=nothing"], "'nothing' names no model"),
        (["--role", "generator=tiny"], "generator: is no role to give away"),
        (["--verifier", "judge", "--verifier-setting", "name=x"], "setting of verifier judge is called 'name'"),
    ],
)
def test_a_gateway_that_cannot_start_says_why(words: list[str], why: str) -> None:
    result = CliRunner().invoke(app, ["serve", "--model", "http://127.0.0.1:9#fake", *words])
    assert isinstance(result.exception, UsageError)
    assert why in str(result.exception)


async def test_a_served_model_has_a_verifier_and_roles() -> None:
    async with FakeServer(FakeSettings()) as server:
        options = ("--strategy", "best_of_n:2", "--verifier", "judge", "--role", f"judge={server.url}#judge")
        gateway = GatewayProcess(f"{server.url}#fake", *options)
        await asyncio.to_thread(gateway.__enter__)
        try:
            body = {"model": "fake", "messages": [{"role": "user", "content": "p0 what?"}]}
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{gateway.url}/chat/completions", json=body) as response,
            ):
                reply = json.loads(await response.read())
        finally:
            await asyncio.to_thread(gateway.__exit__, None, None, None)
    assert reply["usage"]["outthink"]["calls"] == 4, reply


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
