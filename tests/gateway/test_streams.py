"""Streams that are honest, clients that leave, and errors that are never answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Asked, Ended
from outthink.runtime.listening import Listener
from tests.gateway.serving import Message, Upstream, gateway_over, says, serving, upstream_at

ASK = [{"role": "user", "content": "Well?"}]


@contextlib.asynccontextmanager
async def posted(base: str, path: str = "/v1/chat/completions", **body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    request = {"model": "up", "messages": ASK, **body}
    async with aiohttp.ClientSession() as session, session.post(base + path, json=request) as response:
        yield response


class Seen:
    """An observer that keeps all it is told."""

    def __init__(self) -> None:
        self.ends: list[Ended] = []
        self.refusals: list[Refusal] = []

    def began(self, asked: Asked) -> Listener | None:
        return None

    def ended(self, asked: Asked, ended: Ended) -> None:
        self.ends.append(ended)

    def refused(self, path: str, refusal: Refusal, request_id: str) -> None:
        self.refusals.append(refusal)


async def until(true: Any, seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.005)


async def test_a_single_sample_s_first_words_come_before_its_last_are_generated() -> None:
    gate = asyncio.Event()
    async with serving(Upstream([says("a b")], gate=gate, held=1)) as (_, base), posted(base, stream=True) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        async with asyncio.timeout(30):
            async for line in response.content:
                if b'"content":"a"' in line:
                    gate.set()  # else the server says no more
    assert gate.is_set()


async def test_signs_of_life_while_it_thinks() -> None:
    gate = asyncio.Event()

    async def heard(base: str, sign: str, **how: Any) -> str:
        """What is said until its end; the server says nothing before the sign came."""
        gate.clear()
        text = ""
        async with asyncio.timeout(30), posted(base, model="up@majority:2", stream=True, **how) as response:
            async for line in response.content:
                text += line.decode()
                if sign in text:
                    gate.set()
        return text

    async with serving(Upstream([says("x")], gate=gate), heartbeat=0.02) as (_, base):
        text = await heard(base, ": 0 samples, 0 tokens")
        await heard(base, '"reasoning_content":"0 samples', outthink={"progress": "reasoning"})
        gate.clear()
        asyncio.get_running_loop().call_later(0.1, gate.set)
        async with posted(base, model="up@majority:2", stream=True, outthink={"progress": "none"}) as response:
            silent = await response.text()
    assert text.index(": 0 samples") < text.index('"content":"x"') < text.index("[DONE]")
    assert "samples," not in silent.split('"outthink"')[0]


async def test_a_client_that_leaves_frees_every_call_at_once_and_is_charged_for_them() -> None:
    seen = Seen()
    async with serving(Upstream([says("x")], delay=30.0), observers=[seen]) as (upstream, base):
        for stream in (False, True):
            before = upstream.left
            task = asyncio.create_task(_drop(base, model="up@majority:8", stream=stream))
            await until(lambda: upstream.in_flight == 8)
            task.cancel()
            await until(lambda wanted=before + 8: upstream.left == wanted)
            await until(lambda: upstream.in_flight == 0)
        await until(lambda: len(seen.ends) == 2)
    for ended in seen.ends:
        assert (ended.left, ended.status, ended.result) == (True, 499, None)
        assert ended.usage["outthink"]["calls"] == 8
        assert ended.usage["outthink"]["unknown_prompt_tokens"] > 0


async def test_leaving_in_the_middle_of_a_stream_frees_the_server() -> None:
    seen = Seen()
    async with serving(Upstream([says("a " * 5000)], step=0.005), observers=[seen]) as (upstream, base):
        async with posted(base, stream=True) as response:
            await response.content.readuntil(b'"content":" a"')
        await until(lambda: upstream.left == 1)
        await until(lambda: bool(seen.ends))
    assert seen.ends[0].left
    assert seen.ends[0].first_seconds is not None


async def _drop(base: str, **body: Any) -> None:
    async with posted(base, **body) as response:
        await response.read()


async def test_a_storm_of_leaving_clients_leaves_nothing_behind() -> None:
    seen = Seen()
    upstream = Upstream([says("x")], delay=0.05)
    async with upstream_at(upstream) as url, gateway_over(url, observers=[seen]) as (gateway, base):
        tasks = [asyncio.create_task(_drop(base, model="up@majority:3", stream=at % 2 == 0)) for at in range(60)]
        for at, task in enumerate(tasks):
            await asyncio.sleep(0.002)
            if at % 3:
                tasks[at - at % 3].cancel() if at % 2 else task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: gateway.under_way == 0 and upstream.in_flight == 0)
        assert gateway.models["up"].generator.limiter.in_flight == 0
        async with posted(base) as response:
            assert response.status == 200


@pytest.mark.parametrize(
    ("upstream_status", "status", "code"),
    [
        (400, 400, "upstream_refused"),
        (401, 502, "upstream_failed"),
        (404, 502, "upstream_failed"),
        (422, 422, "upstream_refused"),
    ],
)
async def test_what_the_upstream_refuses_is_an_error_with_a_true_status(upstream_status: int, status: int, code: str) -> None:
    async with serving(Upstream([upstream_status, says("later")])) as (upstream, base):
        for stream in (False, True):
            upstream.bodies.clear()
            async with posted(base, stream=stream) as response:
                found = await response.json()
                assert response.status == status
            assert found["error"]["code"] == code
            assert "the upstream says no" in found["error"]["message"]
            assert found["usage"]["outthink"]["calls"] == 1
            async with posted(base) as response:  # and it doesn't stick
                assert response.status == 200


async def test_some_samples_may_fail() -> None:
    script: list[Message | int] = [says("x"), 400, says("x"), 400]
    async with serving(Upstream(script)) as (_, base), posted(base, model="up@majority:4") as response:
        found = await response.json()
    assert (response.status, found["choices"][0]["message"]["content"]) == (200, "x")
    assert found["usage"]["outthink"] | {"calls": 4, "failed_calls": 2, "samples": 2} == found["usage"]["outthink"]


async def test_a_stream_that_breaks_in_its_middle_ends_with_an_error_and_is_not_repeated() -> None:
    broken = Upstream([says("one two three four")], break_after=2)
    async with serving(broken) as (upstream, base), posted(base, stream=True) as response:
        text = await response.text()
    assert len(upstream.bodies) == 1
    assert '"content":" two"' in text
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert "error" in json.loads(events[-1])
    assert "[DONE]" not in text
    assert '"finish_reason":"stop"' not in text


async def test_one_of_several_answers_that_breaks_is_not_told_as_one_of_full_length() -> None:
    broken = Upstream([says("short"), says("one two three four")], break_after=2, step=0.03)
    async with serving(broken) as (_, base), posted(base, stream=True, n=2) as response:
        text = await response.text()
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert '"content":" two"' in text
    assert (json.loads(events[-1])["error"]["code"], "[DONE]" in text, '"length"' in text) == ("upstream_lost", False, False)


async def test_empty_samples_do_not_vote() -> None:
    script: list[Message | int] = [says(""), says(""), says(""), says("x")]
    async with serving(Upstream(script)) as (_, base), posted(base, model="up@majority:4") as response:
        assert (await response.json())["choices"][0]["message"]["content"] == "x"


async def test_texts_without_an_answer_of_the_task_are_given_back_but_wrong_forms_are_not() -> None:
    form = {"type": "json_object"}
    async with serving(Upstream([says("Hello there.\nHow are you?")])) as (_, base):
        async with posted(base, model="up@majority:2", outthink={"task": "exact"}) as response:
            assert (await response.json())["choices"][0]["message"]["content"] == "Hello there.\nHow are you?"
        async with posted(base, model="up@majority:2", response_format=form) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (502, "no_valid_answer")
        async with posted(base, response_format=form) as response:
            assert response.status == 200  # a single sample is passed on as it is


@pytest.mark.parametrize(("budget", "status"), [("1 tokens", 402), ("0.05s", 504)])
async def test_a_budget_that_admits_no_answer(budget: str, status: int) -> None:
    body = {"model": "up@majority:4", "outthink": {"budget": budget}}
    async with serving(Upstream([says("x")], delay=30.0)) as (upstream, base):
        async with posted(base, **body) as response:
            found = await response.json()
        await until(lambda: upstream.in_flight == 0)
    assert (response.status, found["error"]["code"]) == (status, "budget_exceeded")
    assert response.headers["X-Should-Retry"] == "false"
    assert "budget of" in found["error"]["message"]


async def test_a_deadline_gives_the_best_answer_so_far() -> None:
    calls: list[int] = []

    class Uneven(Upstream):
        async def handle(self, request: Any) -> Any:
            calls.append(1)
            self.delay = 0.0 if len(calls) <= 2 else 30.0
            return await super().handle(request)

    async with serving(Uneven([says("x")])) as (upstream, base):
        async with posted(base, model="up@adaptive_consistency:8", outthink={"budget": "2s"}) as response:
            found = await response.json()
        await until(lambda: upstream.in_flight == 0)
    assert found["choices"][0]["message"]["content"] == "x"
    assert found["outthink"]["stop"] in ("budget", "finished")
