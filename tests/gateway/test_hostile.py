"""Whoever means harm: guessed keys, paths that climb, requests that come drop by drop or stop halfway. Nobody else notices."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest

from outthink.gateway.body import parsed
from outthink.gateway.connections import Connection
from outthink.gateway.refusal import Refusal
from outthink.testing.fake_server import FakeSettings
from tests.gateway.operating import SECRET, Running, running
from tests.gateway.serving import Upstream, serving
from tests.gateway.test_requests import HEAD, post, raw
from tests.gateway.test_streams import ASK, posted, until

LIMITED = "[limits]\nwrong_keys_per_minute = 3\n"
GUESSED = ["/v1/models", "/metrics", "/page/data/home", "/v1/models/fake"]


async def guessed(run: Running, count: int) -> list[int]:
    """Statuses of wrong keys, over every path that wants one."""
    return [(await run.get(GUESSED[at % len(GUESSED)], f"wrong-{at}"))[0] for at in range(count)]


async def test_guessed_keys_are_limited_over_all_paths_together_and_right_ones_never(tmp_path: Path) -> None:
    async with running(tmp_path, FakeSettings(api_key=SECRET), more=LIMITED) as run:
        assert await guessed(run, 8) == [401] * 3 + [429] * 5
        status, body, headers = await run.post("wrong-again")
        assert (status, body["error"]["code"], int(headers["Retry-After"]) in range(1, 21)) == (429, "too_many_wrong_keys", True)
        assert (await run.post())[0] == 200
        assert (await run.get("/metrics", "root"))[0] == 200
        assert (await run.get("/v1/models"))[0] == 401  # no key is no guess
        (tmp_path / "gateway.toml").write_text((tmp_path / "gateway.toml").read_text().replace("= 3\n", "= 600\n"))
        assert await run.operation.reloaded()
        assert await guessed(run, 60) == [401] * 60
    logged = [json.loads(line) for line in run.log.getvalue().splitlines()]
    assert not [line for line in logged if line.get("code") == "too_many_wrong_keys"]
    assert "wrong-" not in run.log.getvalue()


CLIMBING = [
    "/../../../../{}", "/%2e%2e/%2e%2e/{}", "/..%2f..%2f{}", "/page/../../{}", "/page/%2e%2e%2f%2e%2e%2f{}", "/page/..%5c..%5c{}",
    "/page/%2fetc%2fpasswd", "//etc/passwd", "/page/{}", "/page/%00{}", "/v1/models/..%2f..%2f{}", "/v1/../{}", "/page/....//{}",
    "/page/data/run?run=../{}", "/page/data/run?run=..%2f..%2f{}", "/page/data/run?run=%2fetc%2fpasswd",
    "/page/data/sample?run=../{}&sample=x", "/page/data/run?run=2026-01-01%2f..%2f..%2f{}", "/page/data/run?run=%00",
]  # fmt: skip


@pytest.mark.parametrize("path", CLIMBING)
async def test_no_path_leads_to_a_file(path: str, tmp_path: Path) -> None:
    """Of an operator, even: sent as bytes, since clients tidy paths up."""
    (tmp_path / "records").mkdir()
    more = f'[records]\nfolder = "{tmp_path / "records"}"\n'
    async with running(tmp_path, FakeSettings(api_key=SECRET), more=more) as run:
        head = f"GET {path.format('gateway.toml')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        said = await raw(run.base, f"{head}Authorization: Bearer {run.keys['root']}\r\n\r\n".encode())
    status, _, body = said.partition(b"\r\n\r\n")
    assert b" 404 " in status or b" 400 " in status, said
    assert b"[models" not in body
    assert b"root:" not in body
    assert str(tmp_path).encode() not in body


async def dripping(base: str, sent: Sequence[bytes], seconds: float) -> bytes:
    """What comes back where the pieces of a request come one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
    said = asyncio.create_task(reader.read())
    try:
        for piece in sent:
            if said.done():
                break
            writer.write(piece)
            await asyncio.sleep(seconds)
        async with asyncio.timeout(60):
            return await said
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_two_hundred_slow_clients_are_cut_and_others_are_served_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "head_seconds", 1.5)
    lines = [HEAD, *[b"X-%d: y\r\n" % at for at in range(1000)]]  # a line now and then, as slowloris has it
    body = [HEAD + b"Content-Length: 5000\r\n\r\n", *[b" "] * 1000]
    async with serving(read_seconds=1.5) as (upstream, base):
        slow = [asyncio.create_task(dripping(base, (lines, body)[at % 2], 0.4)) for at in range(200)]
        await asyncio.sleep(0.5)
        async with posted(base) as response:
            assert response.status == 200
        answers = await asyncio.gather(*slow)
    # A client that goes on writing may be told by a reset before it reads why.
    assert {answer.partition(b"\r\n")[0] for answer in answers} <= {b"", b"HTTP/1.1 408 Request Timeout"}
    assert len(upstream.bodies) == 1


async def test_bytes_that_stop_halfway_leave_nothing_behind() -> None:
    whole = post(json.dumps({"model": "up@majority:2", "messages": ASK, "stream": True}).encode())
    async with serving(Upstream(delay=0.05)) as (upstream, base):
        tasks = set(asyncio.all_tasks())
        for half in (True, False):
            for cut in range(1, len(whole), 7):
                reader, writer = await asyncio.open_connection("127.0.0.1", int(base.rpartition(":")[2]))
                writer.write(whole[:cut])
                if half:
                    writer.write_eof()
                else:
                    writer.transport.abort()  # a reset instead of an end
                if half:
                    async with asyncio.timeout(30):
                        assert await reader.read() == b""  # a half is no request, and nobody waits for the rest
                writer.close()
        assert upstream.bodies == []
        await until(lambda: {task for task in asyncio.all_tasks() - tasks if not task.done()} <= {asyncio.current_task()})
        async with posted(base, model="up@majority:2") as response:
            assert response.status == 200


async def test_large_bodies_are_bounded_together_and_small_ones_are_not_kept_out() -> None:
    large = {"model": "up", "messages": [{"role": "user", "content": "x" * 300_000}]}
    gate = asyncio.Event()
    async with serving(Upstream(gate=gate), bodies_bytes=500_000) as (_, base), aiohttp.ClientSession() as session:

        async def ask(body: dict[str, object]) -> tuple[int, str]:
            try:
                async with session.post(base + "/v1/chat/completions", json=body) as response:
                    code = "" if response.status == 200 else (await response.json())["error"]["code"]
                    return response.status, code
            except aiohttp.ClientConnectionError:
                return 429, "overloaded"  # refused while it was still writing

        small = {"model": "up", "messages": ASK}
        tasks = [asyncio.create_task(ask(body)) for body in [large] * 8 + [small] * 8]
        await until(lambda: sum(task.done() for task in tasks) >= 6)  # refused, while nothing is answered
        gate.set()
        answers = await asyncio.gather(*tasks)
        assert answers[8:] == [(200, "")] * 8
        assert {*answers[:8]} == {(200, ""), (429, "overloaded")}
        assert 1 <= answers[:8].count((200, "")) <= 2
        assert await ask(large) == (200, "")  # what was held is given back
        too_large_for_all = {"model": "up", "messages": [{"role": "user", "content": "x" * 900_000}]}
        assert await ask(too_large_for_all) == (200, "")  # alone it harms nobody


async def test_a_body_that_is_far_too_large_is_not_read_and_not_kept() -> None:
    gc.collect()
    async with serving(body_bytes=1 << 16) as (upstream, base), aiohttp.ClientSession() as session:

        async def endless() -> object:
            for _ in range(1 << 14):  # a gigabyte
                yield b" " * (1 << 16)

        try:
            async with session.post(base + "/v1/chat/completions", data=endless()) as response:
                assert response.status == 413
        except aiohttp.ClientConnectionError:
            pass  # it went on writing after it was refused
        async with posted(base) as answer:
            assert answer.status == 200
    assert len(upstream.bodies) == 1


def test_naming_what_is_no_number_takes_no_more_than_the_body() -> None:
    deep = 50
    body = b'{"%s":' % (b"a" * 100) * deep + b"[" + b"0," * 20_000 + b"NaN]" + b"}" * deep
    tracemalloc.start()
    try:
        with pytest.raises(Refusal, match="NaN is no JSON") as refused:
            parsed(body, nesting=64)
        assert tracemalloc.get_traced_memory()[1] < 50 * len(body)
    finally:
        tracemalloc.stop()
    assert str(refused.value.param).endswith("a[20000]")
