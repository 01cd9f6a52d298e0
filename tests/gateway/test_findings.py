"""What fuzzers found, one request each, so that it isn't found again. Longer hunts: `make fuzz`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from outthink.gateway import known
from tests.gateway.test_fuzz import Ask, asking, check

CHATS, TEXTS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
TOOL = {"type": "function", "name": "f", "function": {"name": "f"}}
FOUND: dict[str, tuple[str, str]] = {
    "a format where responses have none": (RESPONSES, '{"model": "toy", "input": "p0", "response_format": [[1]]}'),
    "a part whose type is a list": (RESPONSES, '{"model": "toy", "input": [{"role": "user", "content": [{"type": ["x"]}]}]}'),
}


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    with asking() as found:
        yield found


@pytest.mark.slow
def test_every_strategy_answers_or_says_what_it_lacks(ask: Ask) -> None:
    question = {CHATS: {"messages": [{"role": "user", "content": "p0?"}]}, TEXTS: {"prompt": "p0?"}, RESPONSES: {"input": "p0?"}}
    answered = set()
    for name in known.strategies():
        for path, body in question.items():
            for more in ({"stream": True}, {"outthink": {"verifier": "judge", "budget": "2000 tokens"}}, {"tools": [TOOL]}):
                found = ask(path, json.dumps({"model": f"toy@{name}", **body, **more}).encode(), {})
                check(found)
                answered |= {name} if found[0] == 200 else set()
    assert set(known.strategies()) - answered <= {"r2", "saffron"}  # these need roles that nobody plays here


@pytest.mark.parametrize("calibration", [True, 1, "x", [1, 2], ["x"], {"": 1}, {"": [["x"]]}])
def test_a_parameter_of_another_type_is_the_client_s_mistake(ask: Ask, calibration: Any) -> None:
    own = {"strategy": "atts", "verifier": "judge", "parameters": {"calibration": calibration}}
    body = {"model": "toy", "messages": [{"role": "user", "content": "p0?"}], "outthink": own}
    status, said = ask(CHATS, json.dumps(body).encode(), {})
    assert (status, b"calibration" in said) == (400, True), said


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(ask: Ask, name: str) -> None:
    path, body = FOUND[name]
    headers: dict[str, Any] = {}
    check(ask(path, body.encode(), headers))
