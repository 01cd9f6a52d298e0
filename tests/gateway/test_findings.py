"""What fuzzers found, one request each, so that it isn't found again. Longer hunts: `make fuzz`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.test_fuzz import Ask, asking, check

CHATS, TEXTS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
FOUND: dict[str, tuple[str, str]] = {
    "a format where responses have none": (RESPONSES, '{"model": "toy", "input": "p0", "response_format": [[1]]}'),
    "a part whose type is a list": (RESPONSES, '{"model": "toy", "input": [{"role": "user", "content": [{"type": ["x"]}]}]}'),
}


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    with asking() as found:
        yield found


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_stays_mended(ask: Ask, name: str) -> None:
    path, body = FOUND[name]
    headers: dict[str, Any] = {}
    check(ask(path, body.encode(), headers))
