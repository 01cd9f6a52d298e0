"""Conformal tests reject as often as they say, and the recorded run is repeated number by number."""

from __future__ import annotations

import random

import pytest

from outthink.core.errors import BadInput
from outthink.parts.conformal import Calibration, Turns


def test_numbers() -> None:
    test = Calibration([-1.0, -2.0, -2.0, -3.0, None])
    assert [test.percentile(score) for score in (0.0, -1.0, -2.0, -2.5, -9.0, None)] == [0.0, 0.0, 0.25, 0.75, 1.0, 1.0]
    assert [test.p_value(score) for score in (0.0, -2.0, -9.0, None)] == [1.0, 0.8, 0.2, 0.2]
    assert [test.rejects(-2.5, level) for level in (0.0, 0.3, 0.4, 1.0)] == [False, False, True, True]
    assert not any(test.rejects(score, 0.0) for score in (0.0, -99.0, None))
    assert all(test.rejects(score, 1.0) for score in (0.0, -99.0, None))
    with pytest.raises(BadInput, match="calibrate"):
        Calibration([None])


@pytest.mark.parametrize("level", [0.1, 0.4])
def test_it_rejects_as_often_as_it_says(level: float) -> None:
    chance, rejected, runs = random.Random(5), 0, 20_000
    for _ in range(runs):
        scores = [chance.gauss(0, 1) for _ in range(10)]
        rejected += Calibration(scores[1:]).rejects(scores[0], level)
    assert rejected / runs == pytest.approx(level, abs=0.015), "9 scores: 10 equally likely ranks"
    ties = [
        Calibration([float(chance.randrange(2)) for _ in range(9)]).rejects(float(chance.randrange(2)), level)
        for _ in range(2000)
    ]
    assert sum(ties) / 2000 <= level


def test_each_turn_has_its_own() -> None:
    turns = Turns([[1.0, 2.0, 3.0], [11.0, 12.0, 13.0]])
    assert [turns.at(turn).percentile(10.0) for turn in range(4)] == [0.0, 1.0, 1.0, 1.0]
