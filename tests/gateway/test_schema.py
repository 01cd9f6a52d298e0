"""The OpenAPI description is true: schemathesis, from an environment of its own, finds no reply that it doesn't describe."""

from __future__ import annotations

import pytest

from tests.gateway.fuzz_schema import PROGRAM, fuzzed


@pytest.mark.clients
@pytest.mark.slow
def test_schemathesis_finds_nothing_that_is_not_described() -> None:
    if not PROGRAM.exists():
        pytest.skip("schemathesis has no environment here; `make fuzz` makes it")
    code, report = fuzzed("--max-examples", "5", "--seed", "1", "--workers", "2")
    assert code == 0, report[-6000:]
