"""Bodies, headers and paths that nobody would think of: whatever comes gets an answer in OpenAI's shape, and never 500."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outthink.core.backend import Completion, Request
from outthink.core.budget import Budget
from outthink.core.calls import written
from outthink.core.prompt import Message, Prompt
from outthink.gateway.app import make_app
from outthink.gateway.gateway import Gateway
from outthink.gateway.model import Model
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.ledger import Ledger
from outthink.testing.simulated import Pace, SimulatedBackend
from outthink.testing.worlds import Odds, Reply, World

Ask = Callable[[str, bytes, dict[str, str]], tuple[int, bytes]]
PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
STRANGE = [
    None, True, False, 0, -1, 1, 2, 0.5, 1e300, float("inf"), -float("inf"), 1 << 70, "", "x", "\ud800", "\x00", "4", "9" * 5000,
    "majority", "majority:2", "single", "none", [], {}, [[]], [{}], {"": None}, {"type": "text"}, "required", "auto", "math",
]  # fmt: skip
JUNK = st.recursive(
    st.sampled_from(STRANGE) | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
ROLES = ["system", "developer", "user", "assistant", "tool", "function", "x"]
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["text", "image_url", "input_text", "input_image", "output_text", "refusal", "x"]) | JUNK,
        "text": JUNK, "image_url": JUNK, "refusal": JUNK, "detail": JUNK,
    },
)  # fmt: skip
TURNS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(ROLES) | JUNK, "content": st.just("p0 what?") | st.lists(PARTS, max_size=2) | JUNK,
        "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning", "item_reference"]) | JUNK,
        "tool_calls": JUNK, "tool_call_id": JUNK, "call_id": JUNK, "name": JUNK, "arguments": JUNK, "output": JUNK, "id": JUNK,
        "summary": JUNK,
    },
)  # fmt: skip
SPELT = st.sampled_from(["majority:2", "best_of_n:2", "single", "adaptive_consistency:2", "majority:", "majority:n=1,n=2", "x"])
OWN = st.fixed_dictionaries(
    {},
    optional={
        "strategy": SPELT | JUNK, "n": JUNK, "budget": st.sampled_from(["9 tokens", "1 samples", "0s", "$0", "-1"]) | JUNK,
        "parameters": st.dictionaries(st.sampled_from(["n", "seed", "x"]), JUNK, max_size=2) | JUNK, "task": JUNK,
        "verifier": st.just("judge") | JUNK, "progress": st.just("reasoning") | JUNK, "record": JUNK,
    },
)  # fmt: skip
FIELDS = (
    "temperature top_p top_k min_p max_tokens max_completion_tokens max_output_tokens stop seed n stream stream_options logprobs "
    "top_logprobs best_of echo suffix tools tool_choice functions function_call response_format text reasoning instructions user "
    "logit_bias presence_penalty metadata modalities audio store include parallel_tool_calls previous_response_id truncation "
    "budget return_response_only optillm_approach k tts_strategy tts_scorer num_paths tts_budget tts_beam_size background"
).split()
BODIES = st.fixed_dictionaries(
    {
        "model": st.just("toy") | st.sampled_from(["toy@majority:2", "bon-toy", "toy@", "none-none-toy", "mcts&bon-toy"]) | JUNK,
        "messages": st.just([{"role": "user", "content": "p0 what?"}]) | st.lists(TURNS, max_size=3) | JUNK,
        "prompt": st.just("p0 what?") | JUNK,
        "input": st.just("p0 what?") | st.lists(TURNS, max_size=3) | JUNK,
    },
    optional={**dict.fromkeys(FIELDS, JUNK), "outthink": OWN | JUNK},
)
NAMES = ["x-outthink-strategy", "x-outthink-budget", "x-its-budget", "x-outthink-task", "x-outthink-progress", "x-request-id"]
WORDS = st.sampled_from(["majority:2", "9" * 5000, "1", "²", "inf", "nan s", "1e999 tokens", "-1", "\xff", "none", "a,b=c", ":"])
HEADERS = st.dictionaries(st.sampled_from([*NAMES, "traceparent", "authorization", "content-length"]), WORDS, max_size=2)


async def asked(app: Any, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of one request, without a socket."""
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode("latin-1", "replace"),
        "query_string": b"", "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http", "root_path": "",
    }  # fmt: skip
    came, status, said = iter([{"type": "http.request", "body": body, "more_body": False}]), list[int](), list[bytes]()

    async def receive() -> dict[str, Any]:
        if (message := next(came, None)) is None:
            await asyncio.Event().wait()
        assert message is not None
        return message

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])
        else:
            said.append(message.get("body", b""))

    async with asyncio.timeout(20):
        await app(scope, receive, send)
    (found,) = status
    return found, b"".join(said)


class Anything(World):
    """Takes every prompt for one about the only problem that it knows."""

    def reply(self, prompt: Prompt, chance: random.Random, script: Sequence[str | None] = ()) -> Reply:
        asked = Message("user", self.problems[0].text)
        return super().reply(Prompt((asked, *prompt.messages), prefix=prompt.prefix), chance, script)


class Calling(SimulatedBackend):
    """Calls a tool, now rightly and now with arguments that are no JSON, wherever it is given one."""

    async def complete(self, request: Request) -> Completion:
        done = await super().complete(request)
        if '"tools":' not in request.prompt.extra:
            return done
        call = {
            "id": "c",
            "type": "function",
            "function": {"name": "f", "arguments": '{"a": 1}' if request.seeds[0] % 2 else "{"},
        }
        return replace(
            done,
            pieces=tuple(
                replace(each, text=written("", [call]), meta={"message": {"tool_calls": [call]}}) for each in done.pieces
            ),
        )


@contextmanager
def asking() -> Iterator[Ask]:
    """Asks a gateway over a simulated model that takes no time."""
    ledger, world = Ledger(), Anything({"p0": Odds("4", {"4": 0.6, "5": 0.4})})
    endpoint = Endpoint(Calling(world, pace=Pace(0.0, 0.0)), ledger)
    model = Model("toy", {"generator": endpoint, "judge": endpoint}, budget=Budget(tokens=3000, calls=20))
    app = make_app(Gateway([model], ledger=ledger))
    with asyncio.Runner() as runner:
        yield lambda path, body, headers: runner.run(asked(app, path, body, headers))


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    with asking() as found:
        yield found


def check(answer: tuple[int, bytes]) -> None:
    """An answer with its usage, or an error in OpenAI's shape, whole or as the end of a stream; never a bug."""
    status, said = answer
    assert status not in (500, 501), said
    assert b'"internal_error"' not in said
    if status != 200:
        error = json.loads(said)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert 400 <= status < 600
    elif said.startswith(b"{"):
        usage = json.loads(said)["usage"]
        names = ("prompt_tokens", "completion_tokens") if "prompt_tokens" in usage else ("input_tokens", "output_tokens")
        assert usage["total_tokens"] == sum(usage[name] for name in names)
    else:
        check_stream(said)


def check_stream(said: bytes) -> None:
    """Whole events, each of them JSON, and an end that says how it ended."""
    assert said.endswith(b"\n\n")
    events = [block for block in said.decode().split("\n\n") if block and not block.startswith(":")]
    data = [block.rpartition("data: ")[2] for block in events]
    told = [json.loads(each) for each in data if each != "[DONE]"]
    ended = data[-1] == "[DONE]" or "error" in told[-1] or told[-1].get("type", "").startswith("response.")
    assert ended, data[-1]


@pytest.mark.slow
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(PATHS), body=BODIES, headers=HEADERS)
def test_no_body_of_the_right_outline_is_a_500(ask: Ask, path: str, body: dict[str, Any], headers: dict[str, str]) -> None:
    check(ask(path, json.dumps(body).replace("Infinity", "1e999").encode(), headers))


@settings(max_examples=100, deadline=None)
@given(path=st.sampled_from(PATHS), body=st.binary(max_size=60) | JUNK.map(lambda found: json.dumps(found).encode()))
def test_no_bytes_are_a_500(ask: Ask, path: str, body: bytes) -> None:
    check(ask(path, body, {}))


@settings(max_examples=100, deadline=None)
@given(name=st.text(st.characters(max_codepoint=255), max_size=12), scorer=st.sampled_from(["", "/perplexity", "/entropy", "/x"]))
def test_no_path_is_a_500(ask: Ask, name: str, scorer: str) -> None:
    body = {"model": "toy", "messages": [{"role": "user", "content": "p0 what?"}]}
    check(ask(f"/v1/{name}{scorer}/chat/completions", json.dumps(body).encode(), {}))
