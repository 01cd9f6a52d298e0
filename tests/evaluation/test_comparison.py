"""Comparisons at equal cost: what is paired, what lies between two budgets, and the sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from outthink.core.errors import BadInput, UnknownName
from outthink.evaluation.comparison import compare


def row(strategy: str, spent: float, credit: list[float], **more: Any) -> dict[str, Any]:
    by_problem = {str(at): each for at, each in enumerate(credit)}
    return {
        "strategy": strategy, "budget": f"{spent:g} samples", "samples": spent, "tokens": 100 * spent,
        "completion_tokens": 90 * spent, "usd": None, "credit": by_problem, **more,
    }  # fmt: skip


def test_one_sentence_with_a_paired_interval() -> None:
    rng = np.random.default_rng(0)
    weak = rng.random(400).round(2)
    strong = np.minimum(weak + 0.05 * (rng.random(400) < 0.6), 1)
    found = compare([row("a", 8, list(strong)), row("b", 8, list(weak))], "a", "b")
    assert found.difference.value == pytest.approx(float((strong - weak).mean()))
    assert 0 < found.difference.low < found.difference.value < found.difference.high < 0.05
    assert str(found).startswith(f"a is better than b by {100 * found.difference.value:.1f} points [")
    assert "at equal tokens" in str(found)
    turned = compare([row("a", 8, list(strong)), row("b", 8, list(weak))], "b", "a")
    assert turned.difference.value == -found.difference.value
    assert str(turned).startswith("b is worse than a by ")
    assert str(found).partition("[")[2].partition("]")[0].split(", ")[0] > "0"
    assert found.fields()["sentence"] == str(found)


def test_what_may_be_chance_is_not_called_better() -> None:
    assert "can't be told apart at equal tokens: a is better by 10.0 points [-" in str(
        compare([row("a", 1, [1, 0, 1, 0, 1, 0, 1, 0, 1, 1]), row("b", 1, [0, 1, 1, 0, 1, 1, 0, 0, 1, 0])], "a", "b")
    )


def test_between_two_budgets_a_strategy_is_a_mixture() -> None:
    rows = [row("a", 1, [0, 0]), row("a", 4, [1, 0.5]), row("b", 2, [0, 1]), row("b", 8, [1, 1])]
    found = compare(rows, "a", "b")
    assert (found.spent, found.accuracy) == (400, 0.75)
    assert found.other_accuracy == pytest.approx((0 + (1 / 3) + 1) / 2)
    assert compare(rows, "a", "b", equal="samples", at=2.5).accuracy == pytest.approx(0.375)
    assert found.beyond == ()
    far = compare(rows, "a", "b", at=700)
    assert far.beyond == ("a",)
    assert "a: not measured at that spending" in str(far)


def test_tokens_are_equal_only_where_they_are_known() -> None:
    rows = [row("a", 1, [1, 0], completion_tokens=0), row("b", 1, [1, 1])]
    assert compare(rows, "a", "b").equal == "samples"
    with pytest.raises(BadInput, match="usd"):
        compare(rows, "a", "b", equal="usd")


@pytest.mark.parametrize("at", [0, -1, float("nan"), float("inf")])
def test_a_spending_is_a_number_above_nothing(at: float) -> None:
    with pytest.raises(BadInput, match="above 0"):
        compare([row("a", 1, [1, 0]), row("b", 1, [1, 1])], "a", "b", at=at)


def test_an_oracle_is_named() -> None:
    assert "b: an oracle" in str(compare([row("a", 1, [1, 0]), row("b", 1, [1, 1], oracle=True)], "a", "b"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("a", 1, [1])], "no strategy of this evaluation is called 'b'"),
        ([row("a", 1, [1]), row("b", 1, [])], "no problem was graded for both"),
        ([row("a", 1, [1]), row("b", 1, [2])], "between 0 and 1"),
        ([row("a", 1, [1]), {**row("b", 1, [1]), "credit": None}], "no credit"),
        ([row("a", 0, [1]), row("b", 1, [1])], "not known"),
    ],
)
def test_what_can_not_be_compared_is_refused(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises((BadInput, UnknownName), match=message):
        compare(rows, "a", "b")
