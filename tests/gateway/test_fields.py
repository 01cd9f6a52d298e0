"""A wrong value is the client's mistake: 400 that names the client's own field and says what it may be, and nothing is sent."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from outthink.core.backend import Completion, Request
from outthink.gateway.app import make_app
from outthink.gateway.gateway import Gateway
from outthink.gateway.model import Model
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.ledger import Ledger
from outthink.testing.simulated import Pace, SimulatedBackend
from outthink.testing.worlds import Odds
from tests.gateway.test_fuzz import Anything, asked

CHAT, TEXT, RESPONSE = "/v1/chat/completions", "/v1/completions", "/v1/responses"
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"model": "toy", "messages": [{"role": "user", "content": "p0 what?"}]},
    TEXT: {"model": "toy", "prompt": "p0 what?"},
    RESPONSE: {"model": "toy", "input": "p0 what?"},
}
HUGE = int("9" * 400)


class Answer(NamedTuple):
    status: int
    error: dict[str, Any]
    sent: int


class Counted(SimulatedBackend):
    """Counts what is sent to it."""

    sent = 0

    async def complete(self, request: Request) -> Completion:
        self.sent += 1
        return await super().complete(request)


class Asking:
    """Asks a gateway over a simulated model, without sockets."""

    def __init__(self, runner: asyncio.Runner) -> None:
        ledger = Ledger()
        self._backend = Counted(Anything({"p0": Odds("4", {"4": 1.0})}), pace=Pace(0.0, 0.0))
        endpoint = Endpoint(self._backend, ledger)
        self._app = make_app(Gateway([Model("toy", {"generator": endpoint, "judge": endpoint})], ledger=ledger))
        self._runner = runner

    def __call__(self, path: str, body: dict[str, Any] | bytes, headers: dict[str, str] | None = None) -> Answer:
        before, sent = self._backend.sent, body if isinstance(body, bytes) else json.dumps(body).encode()
        status, said = self._runner.run(asked(self._app, path, sent, headers or {}))
        error = json.loads(said)["error"] if status != 200 else {}
        return Answer(status, error, self._backend.sent - before)


@pytest.fixture(scope="module")
def ask() -> Iterator[Asking]:
    with asyncio.Runner() as runner:
        yield Asking(runner)


NUMBERS: list[tuple[str, list[Any], str]] = [
    ("temperature", ["hot", True, -1, 10.5, HUGE, [], {}], "between 0 and 10"),
    ("top_p", ["x", False, 0, 1.5, HUGE], r"in \(0, 1\]"),
    ("top_k", ["x", True, -2, 0.5, HUGE], "a whole number from -1"),
    ("min_p", ["x", True, -0.1, 1], r"in \[0, 1\)"),
    ("presence_penalty", ["x", True, -3, 2.5, HUGE], "between -2 and 2"),
    ("frequency_penalty", ["x", True, -3, 2.5], "between -2 and 2"),
    ("repetition_penalty", ["x", True, 0, -1], "above 0"),
    ("repeat_penalty", ["x", 0], "above 0"),
    ("stop", [5, {}, [1], ["x"] * 65, True], "a text or a list of up to 64 texts"),
    ("seed", ["x", True, 0.5, 1 << 70], "a whole number"),
    ("stream", ["yes", 1], "true or false"),
]
LIMITS = ["x", True, 0, -1, 1.5, 1 << 31, HUGE]
WRONG: list[tuple[str, str, Any, str]] = [
    *((path, name, value, must) for path in ASKED for name, values, must in NUMBERS for value in values),
    *((path, "max_tokens", value, "a whole number from 1") for path in (CHAT, TEXT) for value in LIMITS),
    *((CHAT, "max_completion_tokens", value, "a whole number from 1") for value in LIMITS),
    *((RESPONSE, "max_output_tokens", value, "a whole number from 1") for value in LIMITS),
    *((path, "n", value, "a whole number from 1 to 128") for path in (CHAT, TEXT) for value in [*LIMITS, 129]),
    (RESPONSE, "n", 2, "left out"),
    *((path, "model", value, "a text|at most 1000") for path in ASKED for value in [5, True, [], {}, "x" * 1001]),
    (CHAT, "model", "toy@majority:5 apples", "not understood"),
    (CHAT, "model", "toy@majority:0", "a whole number from 1"),
    (CHAT, "model", "toy@single:4", "majority:4"),
    (CHAT, "model", "bon-mcts-toy", "joins several"),
    (CHAT, "stream_options", [], "an object"),
    (TEXT, "stream_options", "x", "an object"),
    *((CHAT, "logprobs", value, "true or false") for value in [1, "x", []]),
    *((CHAT, "top_logprobs", value, "a whole number from 0 to 20") for value in ["x", True, -1, 21, 1.5, 3]),
    *((TEXT, "logprobs", value, "a whole number from 0 to 20") for value in ["x", True, -1, 21, 1.5]),
    *((RESPONSE, "top_logprobs", value, "a whole number from 0 to 20") for value in ["x", True, -1, 21, 1.5]),
    *((CHAT, "response_format", value, '"json_schema"') for value in ["json", [], {}, {"type": "xml"}, {"type": ["text"]}]),
    *((path, "tools", value, "a list of objects|a list") for path in (CHAT, RESPONSE) for value in ["all", {}, 5, True]),
    (CHAT, "tools", ["x"], "a list of objects"),
    (CHAT, "functions", ["x"], "a list of objects"),
    *((path, "tool_choice", value, '"required"') for path in (CHAT, RESPONSE) for value in ["any", 5, [], True]),
    *((CHAT, "messages", value, "a list of 1 to 10000 messages") for value in ["x", {}, [], 5, None]),
    *((RESPONSE, "input", value, "a text or a list of items") for value in [{}, [], 5, None]),
    *((TEXT, "prompt", value, "one text") for value in [5, {}, [], ["a", "b"], [1, 2], [[1, 2]], None]),
    *((TEXT, "best_of", value, "a whole number from 1 to 128") for value in ["x", 0, 129, 1.5, True]),
    *((TEXT, "echo", value, "true or false") for value in ["x", 1]),
    *((TEXT, "suffix", value, "a text") for value in [5, []]),
    *((path, "tool_choice", value, "no tools") for path in (CHAT, RESPONSE) for value in ["required", {"type": "function"}]),
    (RESPONSE, "instructions", 5, "a text"),
    (RESPONSE, "text", 5, "an object"),
    (RESPONSE, "reasoning", 5, "an object"),
    (RESPONSE, "include", "x", "a list"),
    (RESPONSE, "response_format", {"type": "text"}, "text.format"),
    (RESPONSE, "previous_response_id", "resp_1", "nothing is stored"),
    (RESPONSE, "background", True, "nothing is stored"),
    *((path, "outthink", value, "an object") for path in ASKED for value in ["x", [], 5, True]),
    *((CHAT, "budget", value, "whole number from 1 to 4096") for value in [0, -1, 1.5, True, "x", [], HUGE]),
    (CHAT, "optillm_approach", "z3", "no counterpart"),
    (CHAT, "optillm_approach", 5, "a text"),
    (CHAT, "tts_strategy", 5, "a text"),
    (CHAT, "tts_scorer", "magic", "no verifier"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "name", "value", "must"), WRONG)
def test_a_wrong_value_is_named_by_the_client_s_own_field(ask: Asking, path: str, name: str, value: Any, must: str) -> None:
    answer = ask(path, ASKED[path] | {name: value})
    check(answer, name, must)


INSIDE: list[tuple[str, dict[str, Any], str, str]] = [
    (CHAT, {"messages": ["x"]}, "messages[0]", "an object with role and content"),
    (CHAT, {"messages": [{"role": "x", "content": "a"}]}, "messages[0].role", "assistant, developer"),
    (CHAT, {"messages": [{"content": "a"}]}, "messages[0].role", "assistant, developer"),
    (CHAT, {"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "a text or a list of parts"),
    (CHAT, {"messages": [{"role": "user"}]}, "messages[0].content", "a text or a list of parts"),
    (CHAT, {"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "an object with a type"),
    (CHAT, {"messages": [{"role": "assistant", "tool_calls": "x"}]}, "messages[0].tool_calls", "a list of objects"),
    (RESPONSE, {"input": ["x"]}, "input[0]", "an object"),
    (RESPONSE, {"input": [{"type": "x"}]}, "input[0].type", "function_call_output"),
    (RESPONSE, {"input": [{"role": "x", "content": "a"}]}, "input[0].role", "assistant, developer"),
    (RESPONSE, {"input": [{"role": "user"}]}, "input[0].content", "a text or a list of parts"),
    (RESPONSE, {"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0]", "an input_text"),
    (RESPONSE, {"input": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "input[0].content[0].text", "a text"),
    (RESPONSE, {"input": [{"role": ["user"], "content": "a"}]}, "input[0].role", "assistant, developer"),
    (RESPONSE, {"input": [{"type": "function_call", "name": 5}]}, "input[0].name", "a text"),
    (RESPONSE, {"input": [{"type": "function_call", "name": "f", "arguments": {}}]}, "input[0].arguments", "a text"),
    (RESPONSE, {"input": [{"type": "function_call_output", "call_id": "a"}]}, "input[0].output", "a text or a list of parts"),
    (RESPONSE, {"input": [{"type": "function_call_output", "output": "a"}]}, "input[0].call_id", "a text"),
    (RESPONSE, {"instructions": "Be brief.", "input": [{"role": "x", "content": "a"}]}, "input[0].role", "assistant, developer"),
    (RESPONSE, {"tools": [{"type": "web_search"}]}, "tools[0].type", "function"),
    (RESPONSE, {"tools": ["x"]}, "tools[0]", "an object"),
    (RESPONSE, {"text": {"format": {"type": "xml"}}}, "text.format.type", "json_schema"),
    (RESPONSE, {"reasoning": {"effort": 5}}, "reasoning.effort", "a text"),
    (CHAT, {"response_format": {"type": "json_schema"}}, "response_format.json_schema", "an object"),
    (CHAT, {"stream": True, "stream_options": {"include_usage": "x"}}, "stream_options.include_usage", "true or false"),
    (CHAT, {"model": "toy@majority:4", "n": 9}, "n", "9 answers are asked for, and the strategy draws 4 samples"),
    (TEXT, {"best_of": 2, "n": 3}, "n", "3 answers are asked for, and the strategy draws 2 samples"),
    (TEXT, {"best_of": 2, "model": "toy@majority:4"}, "best_of", "majority"),
    (TEXT, {"echo": True, "model": "toy@majority:4"}, "echo", "single"),
    (TEXT, {"echo": True, "best_of": 2}, "echo", "single"),
    (CHAT, {"tts_strategy": "self_consistency", "num_paths": 0}, "num_paths", "a whole number from 1"),
    (CHAT, {"optillm_approach": "majority_voting", "k": "x"}, "k", "a whole number from 1"),
    (CHAT, {"budget": "0 tokens", "model": "toy@majority:4"}, "budget", "admits nothing"),
    (CHAT, {"budget": "5 bananas", "model": "toy@majority:4"}, "budget", "not understood"),
    (CHAT, {"tts_strategy": "self_consistency", "optillm_approach": "bon"}, "tts_strategy", "different strategies"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "more", "param", "must"), INSIDE)
def test_a_wrong_value_inside_is_named_by_its_path(ask: Asking, path: str, more: dict[str, Any], param: str, must: str) -> None:
    check(ask(path, ASKED[path] | more), param, must)


OWN: list[tuple[dict[str, Any], str, str, str]] = [
    ({"strategy": 5}, "strategy", "a text", ""),
    ({"strategy": "majorty"}, "strategy", "did you mean majority", "unknown_strategy"),
    ({"strategy": "majority:4,4"}, "strategy", "twice", ""),
    ({"strategy": "majority:5 apples"}, "strategy", "not understood", ""),
    ({"strategy": "majority:nope=1"}, "strategy", "parameter of majority", "unknown_parameter"),
    ({"strategy": "majority:0 tokens"}, "strategy", "admits nothing", ""),
    ({"strategy": "single", "n": 4}, "n", "majority:4", ""),
    *(({"strategy": "majority", "n": value}, "n", "a whole number from 1 to 4096", "") for value in [*LIMITS, []]),
    *(({"budget": value}, "budget", "write for example", "") for value in [True, [], {}, 1.5, "5 bananas"]),
    *(({"budget": value}, "budget", "empty part|twice|0 or more", "") for value in ["", "5 tokens,", "1 tokens, 2 tokens", -1]),
    *(({"budget": value}, "budget", "admits nothing|from 1 to 4096", "")
      for value in [0, "0 samples", "0 tokens", "0 completion tokens", "0 prompt tokens", "0 calls", "0s", "$0", "5 tokens, 0s"]),
    ({"budget": "$1"}, "budget", "needs prices", ""),
    ({"parameters": 5}, "parameters", "an object", ""),
    ({"strategy": "majority", "parameters": {"m": 1}}, "parameters.m", "parameter of majority", "unknown_parameter"),
    ({"strategy": "majority", "parameters": {"n": "x"}}, "parameters.n", "a whole number", ""),
    ({"strategy": "adaptive_consistency", "parameters": {"batch": "x"}}, "parameters.batch", "a whole number", ""),
    ({"strategy": "adaptive_consistency", "parameters": {"batch": 0}}, "parameters", "1 or more", ""),
    ({"strategy": "beam_search", "verifier": "judge", "parameters": {"width": 0}}, "parameters", "1 or more", ""),
    ({"task": 5}, "task", "a text", ""),
    ({"task": "mathh"}, "task", "did you mean math", ""),
    ({"task": "os:system"}, "task", "no task", ""),
    ({"verifier": 5}, "verifier", "a text", ""),
    ({"verifier": "jugde"}, "verifier", "did you mean judge", ""),
    ({"progress": "loud"}, "progress", "comments, reasoning, none", ""),
    ({"progress": 5}, "progress", "a text", ""),
    ({"record": "no"}, "record", "true or false", ""),
    ({"strategie": "x"}, "strategie", "did you mean strategy", "unknown_parameter"),
]  # fmt: skip


@pytest.mark.parametrize(("own", "name", "must", "code"), OWN)
@pytest.mark.parametrize("path", ASKED)
def test_a_wrong_setting_of_ours_is_named_too(
    ask: Asking, path: str, own: dict[str, Any], name: str, must: str, code: str
) -> None:
    check(ask(path, ASKED[path] | {"outthink": own}), f"outthink.{name}", must, code)


@pytest.mark.parametrize(
    ("headers", "must", "code"),
    [
        ({"x-outthink-strategy": "majorty"}, "did you mean majority", "unknown_strategy"),
        ({"x-outthink-strategy": "majority:0"}, "from 1 to 4096", ""),
        ({"x-outthink-budget": "0"}, "from 1 to 4096", ""),
        ({"x-outthink-budget": "0 tokens"}, "admits nothing", ""),
        ({"x-outthink-budget": "x"}, "not understood", ""),
        ({"x-its-budget": "x"}, "from 1 to 4096", ""),
        ({"x-outthink-task": "x"}, "no task", ""),
        ({"x-outthink-progress": "x"}, "comments, reasoning, none", ""),
        ({"x-outthink-record": "x"}, "must be one of", ""),
    ],
)
def test_a_wrong_header_is_named_as_a_header(ask: Asking, headers: dict[str, str], must: str, code: str) -> None:
    answer = ask(CHAT, ASKED[CHAT], headers)
    (name,) = headers
    check(answer._replace(error=answer.error | {"param": answer.error["param"].lower()}), name, must, code)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ('"temperature": NaN', "temperature"),
        ('"temperature": 1e999', "temperature"),
        ('"logit_bias": {"5": -1e999}', "logit_bias.5"),
        ('"outthink": {"parameters": {"x": [1, -Infinity]}}', "outthink.parameters.x[1]"),
        ('"tools": [{"x": 1e999}]', "tools[0].x"),
        ('"temperature": NaN, "top_p": nan', None),
    ],
)
@pytest.mark.parametrize("path", ASKED)
def test_what_is_no_number_is_named(ask: Asking, path: str, more: str, param: str | None) -> None:
    answer = ask(path, (json.dumps(ASKED[path])[:-1] + f", {more}}}").encode())
    assert (answer.status, answer.error["code"], answer.error["param"], answer.sent) == (400, "invalid_json", param, 0)


@pytest.mark.parametrize(("path", "body"), ASKED.items())
def test_right_values_are_sent(ask: Asking, path: str, body: dict[str, Any]) -> None:
    right = {"temperature": 0, "top_p": 1, "top_k": -1, "min_p": 0.5, "presence_penalty": -2, "stop": ["x"], "seed": -1}
    assert ask(path, body | right | {"outthink": {"budget": "2000 tokens, 5s", "task": "math"}}) == (200, {}, 1)


def check(answer: Answer, param: str, must: str, code: str = "") -> None:
    assert (answer.status, answer.sent) == (400, 0), answer
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert (answer.error["param"], answer.error["code"]) == (param, code or "invalid_value"), answer
    assert answer.error["type"] == "invalid_request_error"
    assert re.search(must, answer.error["message"]), answer
    assert len(answer.error["message"]) < 3100
