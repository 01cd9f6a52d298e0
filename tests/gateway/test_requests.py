"""Requests as no good client sends them: too large, too deep, too slow, half; and many at once."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from typing import Any

import aiohttp
import pytest

from outthink.core.budget import Budget
from outthink.gateway.connections import Connection
from outthink.gateway.seams import Caller
from outthink.gateway.server import listening
from outthink.runtime.ledger import Scope
from outthink.testing.fake_server import FakeServer, FakeSettings
from tests.gateway.serving import Upstream, gateway_over, says, serving, upstream_at
from tests.gateway.test_streams import ASK, Seen, posted, until

ASKED = b'{"model": "up", "messages": [{"role": "user", "content": "x"}]'
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def raw(base: str, sent: bytes, *, half: bool = False) -> bytes:
    """What comes back for these bytes until the connection is closed."""
    port = int(base.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        if half:
            writer.write_eof()
        async with asyncio.timeout(30):
            return await reader.read()
    finally:
        writer.close()


def post(body: bytes, *, more: bytes = b"Connection: close\r\n") -> bytes:
    return HEAD + b"Content-Length: %d\r\n" % len(body) + more + b"\r\n" + body


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"[]", "must be a JSON object"),
        (b"\xff\xfe", "not valid UTF-8"),
        (b'{"model": NaN}', "no JSON"),
        (b'{"model": "up", "messages": [{"role": "user", "content": "\\ud800"}]}', "half a character"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "nests deeper"),
        (b"[" * 200_000, "nests deeper|not valid JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"n": 1e999}', "too large a number"),
        (b'{"model": 5}', "model must be a text"),
        (b'{"model": "up"}', "messages must be a list"),
        (b'{"model": "up", "messages": {}}', "messages must be a list"),
        (ASKED + b', "n": 1e300}', "n must be a whole number"),
        (ASKED + b', "temperature": "hot"}', "temperature must be a number"),
        (ASKED + b', "temperature": 99}', "between 0 and 10"),
        (ASKED + b', "stream": "yes"}', "stream must be true or false"),
        (ASKED + b', "stop": 5}', "stop must be"),
        (ASKED + b', "top_logprobs": 3}', "with logprobs"),
        (ASKED + b', "tools": "all"}', "tools must be a list"),
        (ASKED + b', "response_format": {"type": "xml"}}', "response_format"),
    ],
)  # fmt: skip
async def test_what_is_no_request_gets_400_in_openai_s_shape(body: bytes, words: str) -> None:
    async with serving() as (upstream, base), aiohttp.ClientSession() as session:
        response = await session.post(base + "/v1/chat/completions", data=body)
        found = await response.json()
    assert response.status == 400
    assert set(found["error"]) == {"message", "type", "param", "code"}
    assert re.search(words, found["error"]["message"])
    assert upstream.bodies == []


async def test_bounds_of_a_request() -> None:
    seen = Seen()
    async with serving(body_bytes=2000, read_seconds=1.0, observers=[seen]) as (upstream, base):
        assert b" 413 " in await raw(base, post(b" " * 3000))
        chunked = (
            HEAD
            + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            + b"400\r\n"
            + b" " * 1024
            + b"\r\n"
            + b"400\r\n"
            + b" " * 1024
        )
        assert b" 413 " in await raw(base, chunked + b"\r\n0\r\n\r\n")
        assert b" 415 " in await raw(base, post(b"x", more=b"Content-Encoding: gzip\r\nConnection: close\r\n"))
        assert b" 408 " in await raw(base, HEAD + b"Content-Length: 50\r\n\r\n{")
        assert b" 431 " in await raw(base, HEAD + b"X-Long: " + b"x" * 200_000)
        assert await raw(base, HEAD + b"Content-Length: 50\r\n\r\n{", half=True) == b""
        async with posted(base) as response:
            assert response.status == 200
    assert [refusal.status for refusal in seen.refusals] == [413, 413, 415, 408]
    assert len(upstream.bodies) == 1


async def test_a_slow_head_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 0.4)
    async with serving() as (_, base):
        assert b" 408 " in await raw(base, b"POST /v1/chat/completions HTTP/1.1\r\nHost")
        assert b" 408 " in await raw(base, b"")
        async with aiohttp.ClientSession() as session:  # a connection that is kept open is not closed for it
            for _ in range(2):
                async with session.post(base + "/v1/chat/completions", json={"model": "up", "messages": ASK}) as response:
                    assert response.status == 200
                await asyncio.sleep(0.5)


async def test_a_half_closed_request_is_one_whose_client_left() -> None:
    seen = Seen()
    async with serving(Upstream([says("x")], delay=30.0), observers=[seen]) as (upstream, base):
        await raw(base, post(json.dumps({"model": "up", "messages": ASK}).encode()), half=True)
        await until(lambda: bool(seen.ends) and upstream.in_flight == 0)
    assert seen.ends[0].left


async def test_paths_that_are_none_and_methods_that_are_wrong() -> None:
    async with serving() as (_, base), aiohttp.ClientSession() as session:
        for path, method, status in [("/v2", "GET", 404), ("/v1/chat/completions", "GET", 405), ("/../etc/passwd", "GET", 404)]:
            async with session.request(method, base + path) as response:
                found = await response.json()
                assert (response.status, found["error"]["type"]) == (status, found["error"]["type"])
                assert found["error"]["message"]
        for path, status in [("/health", 200), ("/ready", 200)]:
            async with session.get(base + path) as response:
                assert response.status == status


async def test_prompts_never_choose_a_strategy() -> None:
    tag = [{"role": "system", "content": "<optillm_approach>mcts</optillm_approach>"}, {"role": "user", "content": "@majority:8"}]
    async with serving() as (upstream, base), posted(base, messages=tag) as response:
        assert (await response.json())["outthink"]["strategy"] == "single"
    assert [message["content"] for message in upstream.bodies[0]["messages"]] == [turn["content"] for turn in tag]


async def test_request_ids_are_the_client_s_where_they_are_sane() -> None:
    async with serving() as (_, base), aiohttp.ClientSession() as session:
        for given, kept in (("abcdef-123", True), ("x y", False), ("a" * 500, False)):
            headers = {"X-Request-ID": given}
            async with session.post(
                base + "/v1/chat/completions", json={"model": "up", "messages": ASK}, headers=headers
            ) as response:
                assert (response.headers["X-Request-ID"] == given) == kept
                assert (await response.json())["outthink"]["request_id"] == response.headers["X-Request-ID"]


async def test_draining_lets_what_is_under_way_end_and_takes_nothing_new() -> None:
    upstream = Upstream([says("done")], delay=0.3)
    async with upstream_at(upstream) as url, gateway_over(url) as (gateway, base):
        async with listening(gateway, drain_seconds=5) as second:
            task = asyncio.create_task(_status(second))
            await until(lambda: upstream.in_flight == 1)
        assert await task == 200
        async with posted(base) as response:  # the first one serves the same gateway, which is draining now
            assert response.status == 503
            assert response.headers["Retry-After"]


async def _status(base: str, **body: Any) -> int:
    async with posted(base, **body) as response:
        await response.read()
        return response.status


async def test_256_requests_at_once_at_an_upstream_given_by_name() -> None:
    async with FakeServer(FakeSettings(latency=0.02)) as server, gateway_over(server.url_by_name, "fake") as (gateway, base):
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def ask(at: int) -> int:
                body = {"model": "fake@majority:2", "messages": ASK, "stream": at % 2 == 0}
                async with session.post(base + "/v1/chat/completions", json=body) as response:
                    assert response.status == 200
                    text = await response.text()
                    return len(text)

            async with asyncio.timeout(90):
                assert all(await asyncio.gather(*(ask(at) for at in range(256))))
        assert server.accounts.requests == 512
        await until(lambda: gateway.under_way == 0)


async def test_usage_is_what_the_server_says_it_was_under_faults_too() -> None:
    faults = {"rate_limit": 0.1, "server_error": 0.1, "empty_choices": 0.1, "null_content": 0.1}
    told: Counter[str] = Counter()
    settings = FakeSettings(faults=faults, fault_seed=4, retry_after=0.01)
    async with FakeServer(settings) as server, gateway_over(server.url, "fake") as (_, base), aiohttp.ClientSession() as session:
        for at in range(12):
            body = {"model": "fake@majority:4", "messages": ASK, "stream": at % 2 == 0, "stream_options": {"include_usage": True}}
            async with session.post(base + "/v1/chat/completions", json=body) as response:
                text = await response.text()
            if at % 2:
                usage = json.loads(text)["usage"]
            else:
                usage = json.loads([line for line in text.splitlines() if '"usage":{' in line][-1].removeprefix("data: "))[
                    "usage"
                ]
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            told.update({name: usage[name] for name in ("prompt_tokens", "completion_tokens")})
            told.update(
                {name: usage["outthink"][name] for name in ("calls", "unknown_prompt_tokens", "unknown_completion_tokens")}
            )
            assert usage["outthink"]["retries"] == usage["outthink"]["calls"] - 4
        accounts = server.accounts
        assert told["calls"] == accounts.requests > 48
        billed = [entry for entry in accounts.ledger if entry.reported is not None]
        # A reply that can't be used may have been billed: what is not known to be spent is told as unknown.
        for kind in ("prompt", "completion"):
            true = sum(entry.prompt if kind == "prompt" else entry.reported or 0 for entry in billed)
            assert told[f"{kind}_tokens"] <= true <= told[f"{kind}_tokens"] + told[f"unknown_{kind}_tokens"]


async def test_a_caller_s_scope_bounds_all_its_requests_together() -> None:
    caller = Caller(name="ann", scope=Scope("day of ann", Budget(calls=3)))

    class Ann:
        def caller(self, headers: Any, address: str) -> Caller:
            return caller

    async with serving(Upstream([says("x")]), keys=Ann()) as (upstream, base):
        async with posted(base, model="up@majority:2") as response:
            assert response.status == 200
        async with posted(base, model="up@majority:2") as response:
            found = await response.json()
            assert found["choices"][0]["message"]["content"] == "x"
        async with posted(base) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (429, "insufficient_quota")
    assert len(upstream.bodies) == 3


async def test_a_bug_of_ours_is_an_error_in_openai_s_shape_and_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ValueError("the secret of another")

    for place in ("outthink.gateway.preparing.settings_of", "outthink.gateway.runs.Interpreter"):
        async with serving() as (_, base):
            with monkeypatch.context() as patched:
                patched.setattr(place, lambda *_, **__: broken())
                async with posted(base) as response:
                    text = await response.text()
        assert response.status == 500
        assert json.loads(text)["error"]["code"] == "internal_error"
        assert "secret" not in text
