"""The Pareto front against the plainest definition of it, and how sure it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.evaluation.comparison import Rung
from outthink.evaluation.front import CHANCE, front


def rung(spent: float, *credit: float) -> Rung:
    return Rung(spent, {str(at): each for at, each in enumerate(credit)})


@given(st.lists(st.tuples(st.integers(1, 6), st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4)), min_size=1))
def test_a_point_is_on_the_front_unless_another_is_better_for_as_much_or_as_good_for_less(
    rows: list[tuple[int, list[float]]],
) -> None:
    points = [(10.0**spent, sum(credit)) for spent, credit in rows]
    found = front([rung(10.0**spent, *credit) for spent, credit in rows], resamples=20)
    for (cost, right), standing in zip(points, found, strict=True):
        beaten = any((c <= cost and r > right) or (c < cost and r == right) for c, r in points)
        assert standing is not None
        assert standing.on is not beaten


def test_how_sure_it_is_grows_with_the_problems() -> None:
    for many, sure in ((8, False), (800, True)):
        cheap, dear = [1, 1, 0, 0] * (many // 4), [1, 1, 1, 0] * (many // 4)
        dear[0] = 0  # somewhere the dear one is worse
        first, second = front([rung(1, *cheap), rung(2, *dear)])
        assert first is not None
        assert second is not None
        assert first.share == 1
        assert second.on
        assert (second.share > 1 - CHANCE) is sure


def test_a_point_of_other_problems_stands_nowhere_and_a_percent_is_no_difference() -> None:
    other = Rung(1, {"elsewhere": 1.0})
    empty = Rung(1, {})
    same, better = rung(100, 1, 0, 0), rung(100.9, 1, 1, 0)
    assert front([same, better, other, empty])[2:] == [None, None]
    found = front([same, better])
    assert [each.on for each in found if each is not None] == [False, True]
    assert front([]) == []
    assert front([empty]) == [None]


def test_the_seed_decides_alone() -> None:
    points = [
        rung(1, 1, 0, 1, 0),
        rung(
            2,
            1,
            1,
            0,
            0,
        ),
        rung(3, 1, 1, 1, 0),
    ]
    assert front(points) == front(points)
    assert front(points)[2].share == pytest.approx(front(points, seed=1)[2].share, abs=0.05)  # type: ignore[union-attr]
