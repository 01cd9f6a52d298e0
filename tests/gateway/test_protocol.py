"""What clients of HTTP and of OpenAI's protocol may rely on, beside the fields: versions of HTTP, paths, chunks, their ends."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import aiohttp
import openai
import pytest
from aiohttp import web

from outthink.gateway.gateway import Gateway, opened
from outthink.gateway.server import listening
from outthink.models import backend_of
from outthink.runtime.ledger import Ledger
from outthink.testing.fake_server import FakeServer, FakeSettings
from tests.gateway.serving import USAGE, Upstream, gateway_over, says, serving, upstream_at
from tests.gateway.test_clients import ASK, client
from tests.gateway.test_requests import ASKED, HEAD, raw
from tests.gateway.test_streams import posted


def events(text: str) -> list[dict[str, Any]]:
    found = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert found[-1] == "[DONE]"
    return [json.loads(each) for each in found[:-1]]


async def test_a_client_of_http_1_0_gets_a_stream_without_chunks_that_ends_with_the_connection() -> None:
    body = ASKED + b', "stream": true}'
    head = b"POST /v1/chat/completions HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n"
    async with serving(Upstream([says("one two")], step=0.01)) as (_, base):
        headers, _, stream = (await raw(base, head % len(body) + body)).partition(b"\r\n\r\n")
        whole = await raw(base, (head % (len(ASKED) + 1)).replace(b"keep-alive", b"close") + ASKED + b"}")
    assert b"transfer-encoding" not in headers
    assert b"connection: close" in headers
    said = [event["choices"][0]["delta"].get("content", "") for event in events(stream.decode())]
    assert "".join(said) == "one two"
    assert all(line == "" or line.startswith("data: ") for line in stream.decode().splitlines())
    assert json.loads(whole.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] == "one two"


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on() -> None:
    body = ASKED + b"}"
    head = HEAD + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with serving() as (_, base):
        port = int(base.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        async with asyncio.timeout(30):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("HEAD", "/v1/models", 200, ""),
        ("HEAD", "/v1/models/up", 200, ""),
        ("HEAD", "/v1/chat/completions", 405, ""),
        ("OPTIONS", "/v1/chat/completions", 405, "it takes POST"),
        ("GET", "/v1/responses", 405, "it takes POST"),
        ("DELETE", "/v1/models/up", 405, "it takes "),
        ("POST", "/v1/embeddings", 404, "/v1/chat/completions"),
        ("POST", "/chat/completions", 404, "/v1/chat/completions"),
    ],
)
async def test_methods_and_paths_that_are_not_here_say_what_is(method: str, path: str, status: int, told: str) -> None:
    async with serving() as (_, base), aiohttp.ClientSession() as session, session.request(method, base + path) as response:
        text = await response.text()
        assert (response.status, bool(text)) == (status, method != "HEAD")
        assert ("Allow" in response.headers) == (status == 405)
        assert told in text


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions/", "/v1/majority:2/chat/completions/", "/v1/completions/", "/v1/responses/"]
)
async def test_a_slash_at_the_end_changes_nothing(path: str) -> None:
    field = {"responses": "input", "completions": "prompt"}[path.split("/")[-2]] if "chat" not in path else "messages"
    body = {"model": "up", field: ASK if field == "messages" else "x"}
    async with serving() as (_, base), aiohttp.ClientSession() as session:
        async with session.post(base + path, json=body, allow_redirects=False) as response:
            assert response.status == 200
        async with session.get(base + "/v1/models/", allow_redirects=False) as response:
            assert [model["id"] for model in (await response.json())["data"]] == ["up"]
        async with session.get(base + "/v1/models/up/", allow_redirects=False) as response:
            assert (await response.json())["id"] == "up"


async def test_bodies_are_json_whatever_they_are_said_to_be_but_never_compressed() -> None:
    async with serving() as (_, base), aiohttp.ClientSession() as session:
        url = base + "/v1/chat/completions"
        for kind in ("application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded", "x"):
            headers = {"Content-Type": kind, "Accept": "text/event-stream, image/png", "Content-Encoding": "Identity"}
            async with session.post(url, data=ASKED + b"}", headers=headers) as response:
                assert (response.status, response.content_type) == (200, "application/json")
        for data, headers, status in (
            (b"x", {"Content-Encoding": "gzip"}, 415),
            (b"model=up", {"Content-Type": "application/x-www-form-urlencoded"}, 400),
            (b"--x\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, 400),
        ):
            async with session.post(url, data=data, headers=headers) as response:
                assert response.status == status
                assert (await response.json())["error"]["message"]


@pytest.mark.parametrize(
    ("name", "strategy"),
    [("org/small:1", "single"), ("org/small:1@majority:4", "majority:4"), ("bon-org/small:1", "best_of_n:3")],
)
async def test_a_model_is_found_by_every_name_that_requests_may_give(name: str, strategy: str) -> None:
    async with FakeServer(FakeSettings(model="org/small:1")) as server, gateway_over(server.url, "org/small:1") as (_, base):
        async with client(base) as ai, client(base, "/v1/majority:2") as other:
            for each in (ai, other):
                found = await each.models.retrieve(name)
                assert (found.id, found.outthink["strategy"]) == (name, strategy)  # type: ignore[attr-defined]
            for wrong in (f"{name}@nonsense", "nonsense", f"{name.partition('@')[0]}@majority:0"):
                with pytest.raises(openai.NotFoundError):
                    await ai.models.retrieve(wrong)
        async with aiohttp.ClientSession() as session, session.get(f"{base}/v1/models/{name}") as response:
            assert (await response.json())["id"] == name


@pytest.mark.parametrize("model", ["up", "up@majority:3"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_the_chunks_of_a_stream_agree(path: str, model: str) -> None:
    asked = {"model": model, "n": 3, "stream": True, "stream_options": {"include_usage": True}}
    asked |= {"messages": ASK} if "chat" in path else {"prompt": "x"}
    async with serving(Upstream([says("a b"), says("c d"), says("e")])) as (_, base), aiohttp.ClientSession() as session:
        response = await session.post(base + path, json=asked)
        *chunks, last = events(await response.text())
    for name in ("id", "created", "model", "object"):
        assert len({chunk[name] for chunk in [*chunks, last]}) == 1
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 45)
    assert all(len(chunk["choices"]) == 1 for chunk in chunks)  # clients look at the first one only
    ends = {
        choice["index"]: choice["finish_reason"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]
    }
    assert ends == {0: "stop", 1: "stop", 2: "stop"}


async def test_an_answer_that_a_deadline_cut_ends_as_what_it_is_and_the_others_as_what_they_are() -> None:
    upstream, asked = Upstream([says("a " * 1000), says("b"), says("c")], step=0.02), {"n": 3, "outthink": {"budget": "2s"}}
    async with serving(upstream) as (_, base), posted(base, stream=True, **asked) as response:
        chunks = events(await response.text())
    said, ends = {0: "", 1: "", 2: ""}, {}
    for chunk in chunks:
        (choice,) = chunk["choices"]
        said[choice["index"]] += choice["delta"].get("content") or ""
        if choice["finish_reason"]:
            ends[choice["index"]] = choice["finish_reason"]
    assert ends == {0: "length", 1: "stop", 2: "stop"}
    assert (said[0].startswith("a a"), said[1], said[2]) == (True, "b", "c")
    assert chunks[-1]["outthink"]["stop"] == "budget"


@pytest.mark.parametrize("top", [None, 0, 2])
@pytest.mark.parametrize("stream", [False, True])
async def test_completions_tell_log_probabilities_only_where_they_are_wanted(top: int | None, stream: bool) -> None:
    asked: dict[str, Any] = {"model": "fake", "prompt": "x", "max_tokens": 4} | ({} if top is None else {"logprobs": top})
    async with FakeServer(FakeSettings()) as server, over(f"{server.url}#fake", "vllm") as base, client(base) as ai:
        for best_of in (1, 2):  # to choose the best of two they are needed all the same
            if stream:
                parts = await ai.completions.create(**asked, best_of=best_of, stream=True)
                choices = [chunk.choices[0] async for chunk in parts if chunk.choices[0].text]
            else:
                choices = (await ai.completions.create(**asked, best_of=best_of)).choices
            for choice in choices:
                found = choice.logprobs
                assert (found is None) == (top is None)
                if found is not None:
                    assert "".join(found.tokens or ()) == choice.text
                    assert [len(row) for row in found.top_logprobs or ()] == ([top] * len(found.tokens or ()) if top else [])


@asynccontextmanager
async def over(url: str, engine: str) -> AsyncIterator[str]:
    """The base URL of a gateway over a server of this kind."""
    ledger, backend = Ledger(), backend_of(url, engine=engine)
    async with opened([backend], ledger=ledger) as models, listening(Gateway(models, ledger=ledger), drain_seconds=2.0) as base:
        yield base


@pytest.mark.parametrize(
    ("path", "more", "param"),
    [
        ("chat/completions", {"top_k": 5}, "top_k"),
        ("chat/completions", {"repetition_penalty": 1.1}, "repetition_penalty"),
        ("chat/completions", {"repeat_penalty": 1.1}, "repeat_penalty"),
        ("completions", {"stop": list("abcde")}, "stop"),
        ("responses", {"min_p": 0.1}, "min_p"),
    ],
)
async def test_a_setting_that_the_server_cannot_be_told_is_named(path: str, more: dict[str, Any], param: str) -> None:
    upstream = Upstream()
    async with upstream_at(upstream) as url, over(f"{url}#up", "openai") as base, aiohttp.ClientSession() as session:
        question = {"chat/completions": {"messages": ASK}, "completions": {"prompt": "x"}, "responses": {"input": "x"}}[path]
        body = {"model": "up@majority:2", **question, **more}
        async with session.post(f"{base}/v1/{path}", json=body) as response:
            error = (await response.json())["error"]
            assert (response.status, error["param"], error["code"]) == (400, param, "unsupported")
    assert upstream.bodies == []


class Odd(Upstream):
    """Says numbers that are none in JSON, as Python's own writer does."""

    row: ClassVar = {"token": "hi", "logprob": -math.inf, "bytes": None, "top_logprobs": [{"token": "x", "logprob": math.nan}]}
    choice: ClassVar = {"index": 0, "finish_reason": "stop", "logprobs": {"content": [row]}}

    async def _whole(self, body: dict[str, Any], message: dict[str, Any]) -> Any:
        return web.json_response({"choices": [{**self.choice, "message": says("hi") | {"score": math.inf}}], "usage": USAGE})

    async def _stream(self, request: Any, body: dict[str, Any], message: dict[str, Any]) -> Any:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        choice = {**self.choice, "delta": {"content": "hi", "score": math.inf}}
        await response.write(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\ndata: [DONE]\n\n")
        return response


@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_s_numbers_that_are_none_are_still_json(stream: bool) -> None:
    async with serving(Odd()) as (_, base), posted(base, logprobs=True, top_logprobs=1, stream=stream) as response:
        text = await response.text()
    assert response.status == 200
    assert "Infinity" not in text
    assert "NaN" not in text
    choices = [choice for event in events(text) for choice in event["choices"]] if stream else json.loads(text)["choices"]
    (row,) = next(choice["logprobs"]["content"] for choice in choices if choice["logprobs"])
    assert (row["logprob"], row["top_logprobs"][0]["logprob"]) == (-9999.0, None)


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], [[1, 2]], []])
async def test_prompts_that_completions_do_not_take_say_which_they_do(prompt: list[Any]) -> None:
    async with serving() as (upstream, base), client(base) as ai:
        with pytest.raises(openai.BadRequestError, match="one text"):
            await ai.completions.create(model="up", prompt=prompt)
        one = await ai.completions.create(model="up", prompt=["a"], suffix="z", echo=True)
    assert one.choices[0].text == "hi"
    assert [(body["prompt"], body["suffix"], body["echo"]) for body in upstream.bodies] == [("a", "z", True)]
