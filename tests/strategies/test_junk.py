"""Whatever is written for a parameter: a sentence of ours before anything is spent, or a run that keeps its budget."""

from __future__ import annotations

import math
from typing import Any

import pytest

from outthink import catalogue
from outthink.core.backend import Completion, Request
from outthink.core.errors import InternalError, OutthinkError
from outthink.core.selection import Result, Stop
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trials import Case, cases, trial

JUNK: tuple[Any, ...] = (
    0, -1, 3, 10**6, 10**12, 10**5000, -(10**12), 1.5, 0.5, -0.5, 1e308, 5e-324, math.nan, math.inf, -math.inf, True, None,
    "", "abc", "16", "\ud800", "x" * 10_000, [], [0], [-1.0], [1.0, 1.0], ["a", None], [[]], {}, {"a": 1}, b"16", 1 + 2j,
    object(), ["generator"] * 2, [math.nan], [1e308, 1e-308], range(3),
)  # fmt: skip
"""What hostile or hasty people write, in Python and in JSON."""
SAMPLES = 20
AT_FIRST_REPLY = ("reference",)
"""What only a model can tell."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Requests that reached any model."""
    seen, complete = list[Request](), SimulatedBackend.complete

    async def counted(self: SimulatedBackend, request: Request) -> Completion:
        seen.append(request)
        return await complete(self, request)

    monkeypatch.setattr(SimulatedBackend, "complete", counted)
    return seen


@pytest.mark.parametrize("name", catalogue.strategies())
def test_junk_is_refused_before_anything_is_spent_or_keeps_the_budget(name: str, asked: list[Request]) -> None:
    case = cases(name)[0]
    for parameter in case.strategy.parameters:
        for value in JUNK:
            asked.clear()
            what = f"{parameter}={value!r:.40}" if value != JUNK[5] else parameter
            result, error = tried(case.but(**{parameter: value}))
            if error is not None:
                assert not asked or parameter in AT_FIRST_REPLY, f"{what} is refused too late: {error}"
                assert len(str(error)) < 1000, f"{what}: no message repeats all of what was written"
            if result is not None:
                assert result.stop is not Stop.FAILED, f"{what}: {result.reason}"
                assert result.usage.samples <= SAMPLES


def tried(case: Case) -> tuple[Result | None, OutthinkError | None]:
    """What it gives under a small budget, or the error of ours that says why not."""
    try:
        return trial(case, budget=f"{SAMPLES} samples, 2k tokens").done, None
    except InternalError:
        raise
    except OutthinkError as error:
        return None, error


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("majority", {"quorum": 0}),
        ("majority", {"n": 2, "quorum": 3}),
        ("majority", {"n": 10**12}),
        ("adaptive_consistency", {"threshold": 3.0}),
        ("adaptive_consistency", {"least": 0}),
        ("certaindex", {"agree": 0}),
        ("certaindex", {"every": 0}),
        ("deepconf_online", {"consensus": -0.5}),
        ("early_stopping_consistency", {"risk": 1.5}),
        ("multi_temperature", {"intra": -0.5}),
        ("multi_temperature", {"min_rounds": 0}),
        ("nothinking", {"top": 0}),
        ("nothinking", {"answer_tokens": -1}),
        ("self_certainty", {"top": 0}),
        ("self_certainty", {"p": -0.5}),
        ("self_refine", {"enough": 3.0}),
        ("best_first", {"failed": 1.0}),
        ("saffron", {"least": -1}),
        ("saturation", {"solved": 1e308}),
        ("ab_mcts_a", {"roles": ["generator", "generator"]}),
        ("atts", {"calibration": []}),
        ("first_finish", {"n": 10**6}),
        ("mcts", {"simulations": 10**6}),
    ],
)
def test_what_means_nothing_is_not_taken_for_something_else(name: str, wrong: dict[str, Any], asked: list[Request]) -> None:
    with pytest.raises(OutthinkError):
        trial(cases(name)[0].but(**wrong), budget=SAMPLES)
    assert not asked
