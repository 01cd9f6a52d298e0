"""Budgets are read back as they are written, and refuse what is no budget."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.budget import DIMENSIONS, NOTHING, Budget, Prices, Usage
from outthink.core.errors import BadInput

whole = st.integers(0, 10**25)
real = st.floats(0, 1e15, allow_nan=False)
budgets = st.fixed_dictionaries({}, optional={name: real if name in ("seconds", "usd") else whole for name in DIMENSIONS}).map(
    lambda limits: Budget(**limits)
)
counts = st.integers(0, 10**9)
usages = st.builds(Usage, *[counts] * 8, usd=st.none() | st.just(0.25) | st.just(0.0), seconds=st.just(0.5))


@given(budgets.filter(lambda budget: budget.limits()))
def test_what_is_written_is_read_back(budget: Budget) -> None:
    assert Budget.parse(str(budget)) == budget
    assert Budget.of(str(budget)) == budget


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("1.001k tokens", {"tokens": 1001}),
        ("2M completion tokens, 1_000 calls", {"completion_tokens": 2_000_000, "calls": 1000}),
        ("1.5min", {"seconds": 90.0}),
        ("$.1,30 s", {"usd": 0.1, "seconds": 30.0}),
        ("16 SAMPLES", {"samples": 16}),
    ],
)
def test_the_syntax(text: str, limits: dict[str, Any]) -> None:
    assert Budget.parse(text) == Budget(**limits)


@pytest.mark.parametrize(
    "text", ["", "16", "5 apples", "1.5 samples", "16 samples,", "1 s, 2 s", "-3 calls", "$3 usd", "1e3 tokens", "5M", "nan s"]
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"^budget: "):
        Budget.parse(text)


@pytest.mark.parametrize("value", [-1, 0.5, float("inf"), float("nan"), True, "16"])
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(BadInput, match=r"samples is .* whole number"):
        Budget(samples=value)
    with pytest.raises(BadInput):
        Budget.of([value])  # type: ignore[arg-type]


def test_a_number_that_python_cant_write_is_refused() -> None:
    for huge in ("9" * 5000 + " tokens", 10**5000):
        with pytest.raises(BadInput, match="too large"):
            Budget.of(huge)


@given(usages, usages, usages)
def test_usage_adds_up(a: Usage, b: Usage, c: Usage) -> None:
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert a + NOTHING == a
    total = a + b
    assert total.most_tokens == a.most_tokens + b.most_tokens
    assert (total.usd is None) == (a.usd is None or b.usd is None), "an unknown price makes the sum unknown, not smaller"
    assert Usage(**total.fields()) == total  # type: ignore[arg-type]


def test_cached_tokens_have_their_own_price() -> None:
    assert Prices(2.0, 10.0).usd(1_000_000, 500_000, 100_000) == pytest.approx(3.0)
    assert Prices(2.0, 10.0, cached=0.2).usd(1_000_000, 500_000, 100_000) == pytest.approx(2.1)


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, "cheap", None, True, pytest.param(10**5000, id="huge")])
@pytest.mark.parametrize("name", ["prompt", "completion", "cached"])
def test_no_price_is_below_nothing(name: str, wrong: Any) -> None:
    """One below 0 would give back what a budget had spent."""
    if (name, wrong) != ("cached", None):
        with pytest.raises(BadInput, match=f"prices: {name} is .* and must be 0 or more usd per million tokens"):
            Prices(**{"prompt": 1, "completion": 1, name: wrong})
