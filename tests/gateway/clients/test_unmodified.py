"""Clients that people use, unmodified, in environments of their own (`make clients`); without one its test is skipped.

Each is a program beside this file that asks the gateway and prints what it understood.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from outthink.testing.fake_server import FakeServer, FakeSettings
from tests.gateway.serving import Message, Upstream, calls, gateway_over, says, serving
from tests.gateway.test_streams import until

HOMES = Path(__file__).parents[3] / ".peers"
NODE_MODULES = HOMES / "openai_javascript" / "node_modules"
OSLO = {"city": "Oslo"}

pytestmark = [pytest.mark.clients, pytest.mark.slow]


def python_of(name: str) -> Path:
    found = HOMES / name / "bin" / "python"
    if not found.exists():
        pytest.skip(f"{name} has no environment here; `make clients` makes it")
    return found


def program(name: str) -> tuple[list[str | Path], dict[str, str]]:
    """The command that runs a client's program, and its environment. Skips where that client isn't here."""
    if name != "openai_javascript":
        command = [python_of(name), Path(__file__).with_name(f"{name}_player.py")]
        return command, {"LITELLM_LOCAL_MODEL_COST_MAP": "1"}  # else it asks the network for prices
    node = shutil.which("node")
    if node is None or not NODE_MODULES.is_dir():
        pytest.skip("openai for JavaScript isn't here; `make clients` installs it (it needs Node and npm)")
    return [node, Path(__file__).with_name("openai_javascript.cjs")], {"NODE_PATH": str(NODE_MODULES)}


async def said_by(*command: str | Path, **environment: str) -> Any:
    """What a client understood."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env={**os.environ, **environment})
    out, err = await asyncio.wait_for(process.communicate(), 500)
    assert process.returncode == 0, err.decode()[-3000:]
    return json.loads(out.decode().strip().rpartition("\n")[2])  # a library may print before


def votes(most: Message, other: Message) -> list[Message]:
    return [most, other, most]


TEXTS = votes(says("42"), says("41"))
CALLS = votes(calls("weather", json.dumps(OSLO)), calls("weather", '{"city": "Rome"}'))
SUMS = votes(says('{"total": 42}'), says('{"total": 41}'))


def upstream(*scripts: Sequence[Message], **settings: Any) -> Upstream:
    return Upstream([message for script in scripts for message in script], **settings)


async def test_openai_for_javascript() -> None:
    command, environment = program("openai_javascript")
    long = says(" ".join(["word"] * 200))
    server = upstream(TEXTS, TEXTS, [says("one two")], CALLS, SUMS, TEXTS, [says("one two")], [long])
    server.step = 0.02
    async with serving(server) as (_, base):
        told = await said_by(*command, f"{base}/v1", **environment)
        await until(lambda: server.left == 1 and server.in_flight == 0)
    assert told == {
        "vote": ["42", 15, 3], "streamed": ["42", 15], "pieces": ["one", " two"], "called": ["weather", OSLO],
        "parsed": {"total": 42}, "response": ["42", "completed"], "response_streamed": "one two", "models": ["up"],
        "errors": [["NotFoundError", 404, "model_not_found"], ["BadRequestError", 400, "unknown_strategy"]],
    }  # fmt: skip


async def test_langchain() -> None:
    command, environment = program("langchain")
    tools = votes(calls("Sum", '{"total": 42}'), calls("Sum", '{"total": 41}'))
    server = upstream(TEXTS, [says("one two")], CALLS, [says("It rains.")], SUMS, tools, TEXTS, [says("hi")] * 2)
    async with serving(server) as (_, base):
        told = await said_by(*command, f"{base}/v1", **environment)
    assert told == {
        "vote": ["42", 15, "stop"], "pieces": ["one", " two"], "streamed_tokens": 5, "called": ["weather", OSLO],
        "after": "It rains.", "json_schema": {"total": 42}, "function_calling": {"total": 42}, "response": "42",
        "batch": ["hi", "hi"], "error": "model_not_found",
    }  # fmt: skip
    after = next(body["messages"] for body in server.bodies if body["messages"][-1]["role"] == "tool")
    assert (after[-1]["content"], after[-1]["tool_call_id"]) == ("rain in Oslo", after[-2]["tool_calls"][0]["id"])


async def test_litellm() -> None:
    command, environment = program("litellm")
    server = upstream(TEXTS, [says("one two")], CALLS, SUMS, TEXTS)
    async with serving(server) as (_, base):
        told = await said_by(*command, f"{base}/v1", **environment)
    assert told == {
        "vote": ["42", 15, "stop"], "streamed": ["one two", 5], "called": ["weather", OSLO], "parsed": {"total": 42},
        "header": "42", "error": "BadRequestError",
    }  # fmt: skip
    assert server.bodies[0]["temperature"] == 0.4


async def test_curl() -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl isn't here")
    async with serving(upstream(TEXTS, TEXTS)) as (_, base):
        body = json.dumps({"model": "up", "messages": [{"role": "user", "content": "What is 17 + 25?"}]})
        found = await said_by(curl, "-sS", "--fail", f"{base}/v1/majority:3/chat/completions", "-d", body)
        assert (found["choices"][0]["message"]["content"], found["usage"]["completion_tokens"]) == ("42", 15)
        streamed = json.dumps({**json.loads(body), "stream": True, "model": "up@majority:3"})
        process = await asyncio.create_subprocess_exec(
            curl, "-sSN", f"{base}/v1/chat/completions", "-d", streamed, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
    assert out.decode().strip().endswith("data: [DONE]")


@pytest.mark.parametrize("name", ["langchain", "litellm", "openai_javascript"])
async def test_a_server_s_misbehaviour_is_not_noticed(name: str) -> None:
    """Every kind of it, one client at a time: `test_misbehaviour`."""
    command, environment = program(name)
    faults = dict.fromkeys(("rate_limit", "server_error", "error_as_200", "empty_choices", "null_content", "disconnect"), 0.1)
    async with (
        FakeServer(FakeSettings(faults=faults, fault_seed=5, retry_after=0.01)) as server,
        gateway_over(server.url, "fake") as (_, base),
    ):
        told = await said_by(*command, f"{base}/v1", "fake", **environment)
        assert server.accounts.faults
    for text, tokens in (told["vote"], told["streamed"]):
        assert text.strip()
        assert tokens >= 1
