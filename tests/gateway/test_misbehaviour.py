"""Every misbehaviour that the fake server knows, seen through OpenAI's own client: a right answer, or an error that is one.

Never a hang, never an error for an answer, never half an answer for a whole one, and usage that is the server's own account
wherever it reports truthfully.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from outthink.runtime.batch import Retry
from outthink.testing.fake_server import FAULTS, FakeServer, FakeSettings, HashWorld
from outthink.testing.fake_server.accounts import Entry
from tests.gateway.serving import gateway_over
from tests.gateway.test_streams import until

WORLD = HashWorld(low=1.0, high=1.0)  # whatever the model says is right
ASKED, GOLD = WORLD.problems(1)[0]
ASK: list[Any] = [{"role": "user", "content": ASKED}]
HARMLESS = {
    "ignores_n", "null_logprobs", "nan_logprobs", "swallows_stop", "ignores_seed", "ignores_max_tokens", "wrong_usage",
    "missing_usage", "duplicate_indices", "keeps_generating", "slow_drip",
}  # fmt: skip
"""These spoil no text that is asked for without log-probabilities; everything else must end in an error of this status:"""
STATUS = {"rate_limit": {429}, "rate_limit_bare": {429}, "hang": {504}, "huge_body": {502, 504}}
UNTRUE = {"wrong_usage", "missing_usage"}


@asynccontextmanager
async def misbehaving(fault: str, rate: float) -> AsyncIterator[tuple[FakeServer, openai.AsyncOpenAI]]:
    settings = FakeSettings(faults={fault: rate}, fault_seed=3, retry_after=0.01, drip=0.002, huge=80 << 20)
    # No sign of life, after which the status of a stream is told: however long it takes, an error has its own.
    async with FakeServer(settings, WORLD) as server, gateway_over(server.url, "fake", heartbeat=100.0) as (gateway, base):
        # Only who hangs is timed: whatever else is asked may be answered late by a busy machine.
        timeout = 60.0 if fault != "hang" else 0.5 if rate == 1.0 else 2.0
        gateway.models["fake"].generator.retry = Retry(attempts=3, base=0.01, timeout=timeout)
        async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0, timeout=60) as client:
            yield server, client
            await until(lambda: gateway.under_way == 0)


class Told:
    """What came of one request: a text and its usage, or an error."""

    def __init__(self) -> None:
        self.text, self.error = "", None
        self.usage: dict[str, Any] = {}

    def failed(self, status: int, error: Any, usage: Any) -> None:
        assert {"message", "type", "code"} <= error.keys()
        assert error["message"]
        self.text, self.error, self.usage = "", status, usage or {}


async def told(client: openai.AsyncOpenAI, model: str, stream: bool, protocol: str = "chat") -> Told:
    """One request as a client of OpenAI's makes it. Streams that end neither well nor with an error fail the test."""
    found = Told()
    try:
        if protocol == "responses":
            await _response(client, model, stream, found)
        elif stream:
            chunks = await client.chat.completions.create(
                model=model, messages=ASK, max_tokens=256, stream=True, stream_options={"include_usage": True}
            )
            finish = None
            async for chunk in chunks:
                found.usage = chunk.usage.model_dump() if chunk.usage else found.usage
                for choice in chunk.choices:
                    found.text += choice.delta.content or ""
                    finish = choice.finish_reason or finish
            assert finish in ("stop", "length")
        else:
            answer = await client.chat.completions.create(model=model, messages=ASK, max_tokens=256)
            assert answer.usage is not None
            found.text, found.usage = answer.choices[0].message.content or "", answer.usage.model_dump()
            assert answer.choices[0].finish_reason in ("stop", "length")
    except openai.APITimeoutError:
        raise AssertionError("it hangs") from None
    except openai.APIStatusError as error:
        document = error.response.json()
        found.failed(error.status_code, document["error"], document.get("usage"))
    except openai.APIError as error:  # in the middle of a stream
        found.failed(200, error.body, None)
    return found


async def _response(client: openai.AsyncOpenAI, model: str, stream: bool, found: Told) -> None:
    if stream:
        events = await client.responses.create(model=model, input=ASKED, max_output_tokens=256, stream=True)
        last = None
        async for event in events:
            last = event
        assert last is not None
        assert last.type in ("response.completed", "response.incomplete", "response.failed"), last
        response = last.response  # type: ignore[union-attr]
        if last.type == "response.failed":
            assert response.error is not None
            found.failed(200, {"type": "x", **response.error.model_dump()}, None)
            return
    else:
        response = await client.responses.create(model=model, input=ASKED, max_output_tokens=256)
    usage = response.usage.model_dump()
    found.text = response.output_text
    found.usage = {**usage, "prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"]}


def check_usage(usage: dict[str, Any], entries: list[Entry], fault: str) -> None:
    """What a client is told against what the server did: equal where it reports truthfully, else within what is unknown."""
    more = usage["outthink"]
    assert more["calls"] == len(entries)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    if fault == "wrong_usage":
        return  # a server that lies about what it did can't be found out
    prompt, generated = sum(entry.prompt for entry in entries), sum(entry.generated for entry in entries)
    assert usage["prompt_tokens"] <= prompt <= usage["prompt_tokens"] + more["unknown_prompt_tokens"]
    assert usage["completion_tokens"] <= generated <= usage["completion_tokens"] + more["unknown_completion_tokens"]
    if fault not in UNTRUE and all(entry.outcome == "done" and entry.reported is not None for entry in entries):
        assert (usage["prompt_tokens"], usage["completion_tokens"]) == (prompt, generated)


async def check_one(server: FakeServer, client: openai.AsyncOpenAI, fault: str, *asked: Any) -> Told:
    began = len(server.accounts.ledger)
    async with asyncio.timeout(90):
        found = await told(client, *asked)
    entries = server.accounts.ledger[began:]
    assert (found.error is None) == (f"{{{GOLD}}}" in found.text), (asked, found.error, found.text)
    if found.usage:
        check_usage(found.usage, entries, fault)
    else:
        assert found.error is not None
    return found


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_server_that_always_misbehaves(fault: str) -> None:
    async with misbehaving(fault, 1.0) as (server, client):
        for model in ("fake", "fake@majority:3"):
            for stream in (False, True):
                for protocol in ("chat", "responses"):
                    found = await check_one(server, client, fault, model, stream, protocol)
                    if fault in HARMLESS:
                        assert found.error is None, (model, stream, protocol)
                    elif found.error is not None:
                        allowed = {*STATUS.get(fault, {502}), *([200] if stream and model == "fake" else [])}
                        assert found.error in allowed, (model, stream, protocol)
                    else:  # only half of it spoils the text: streams that come whole before the fault is noticed
                        raise AssertionError((fault, model, stream, protocol))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_server_that_misbehaves_now_and_then(fault: str) -> None:
    async with misbehaving(fault, 0.3) as (server, client):
        answered = 0
        for at in range(8):
            model = ("fake", "fake@majority:4")[at // 2 % 2]
            answered += (await check_one(server, client, fault, model, at % 2 == 0)).error is None
        assert answered >= 6  # attempts are repeated
