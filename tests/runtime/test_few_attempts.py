"""A server that only fails costs a budget of samples a bounded number of calls."""

from __future__ import annotations

import outthink
from outthink.runtime.batch import Retry
from outthink.testing.fake_server import FakeServerProcess, FakeSettings


def test_samples_that_wait_to_be_repeated_let_in_no_more_than_are_missing() -> None:
    with FakeServerProcess(FakeSettings(faults={"null_content": 1.0})) as server:
        result = outthink.solve(
            "What is 2+2?", model=f"{server.url}#fake", task="exact", budget="3 samples",
            retry=Retry(attempts=3, base=0.001, longest=0.002),
        )  # fmt: skip
    assert result.answer is None
    assert result.usage.calls <= 3 * (8 + 3)
