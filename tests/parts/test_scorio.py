"""Our selectors and exact estimators against another implementation (scorio, in the extra `dev`), where it covers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outthink.core.task import Answer
from outthink.evaluation.estimators import best_at_k, majority_at_k, pass_at_k

theirs = pytest.importorskip("scorio.eval", reason="scorio is not installed")


@pytest.fixture(scope="module")
def oracles() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        import selection_oracles  # type: ignore[import-not-found]  # it lies among the benchmarks

        return dict(selection_oracles.oracles())


NAMES = (
    "majority", "weighted majority", "best of n", "Borda p=0.5", "majority of the bests", "softmax (CISC)", "best part votes",
    "best of majority, best", "best of majority, mean",
)  # fmt: skip
SCORES = st.lists(st.integers(1, 10_000), min_size=2, max_size=16, unique=True)


def test_every_selector_that_it_covers_is_tried(oracles: dict[str, Any]) -> None:
    assert set(NAMES) == set(oracles)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(scores=SCORES, data=st.data())
def test_the_same_choice_where_nothing_is_tied(oracles: dict[str, Any], name: str, scores: list[int], data: Any) -> None:
    ours, other = oracles[name]
    drawn = data.draw(st.lists(st.integers(0, 4), min_size=len(scores), max_size=len(scores)))
    answers, weights = [Answer(str(each), str(each)) for each in drawn], [score / 10_000 for score in scores]
    found = ours(answers, weights)
    heaviest = sorted(found.votes.values(), reverse=True)[:2]
    # Weights that are equal but for rounding are a tie to whoever rounds otherwise.
    if not found.tie and (len(heaviest) < 2 or heaviest[0] - heaviest[1] > 1e-9):
        assert found.answer_class == other([answer.answer_class for answer in answers], weights)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5), st.integers(1, 6))
def test_the_same_chance_that_one_of_k_is_right(table: list[list[bool]], k: int) -> None:
    right = np.array(table, dtype=int)
    assert float(pass_at_k(6, right.sum(axis=1), k).mean()) == pytest.approx(theirs.pass_at_k(right, k))
    alike = float((1 - pass_at_k(6, 6 - right.sum(axis=1), k)).mean())  # all of k are right: none of k is wrong
    assert alike == pytest.approx(theirs.pass_hat_k(right, k))
    best = float(np.mean([best_at_k(row, row, k) for row in right.astype(float)]))
    assert best == pytest.approx(theirs.pass_at_k(right, k))
    if k % 2:  # two answers, and no ties, which it counts as wrong
        voted = [majority_at_k([row.sum(), 6 - row.sum()], [True, False], k) for row in right]
        assert float(np.mean(voted)) == pytest.approx(theirs.maj_at_k(right, k))
