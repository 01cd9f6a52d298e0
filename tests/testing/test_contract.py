"""The contract holds for strategies that use every kind of operation, and finds the ones that break it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from outthink.testing import exact
from outthink.testing.contract import StrategyContract
from outthink.testing.trials import Case
from tests.testing import toy_strategies as toys


class TestToys(StrategyContract):
    strategies: ClassVar = [f"tests.testing.toy_strategies:{name}" for name in ("children", "watched", "first_finish")]
    reached: ClassVar = {
        "children": lambda answers, scores, n: exact.majority(answers, n),
        "watched": lambda answers, scores, n: exact.majority(answers, n),
    }
    exempt: ClassVar = {
        **{
            ("tests.testing.toy_strategies:first_finish", law): "it races, and stops at one sample"
            for law in ("test_the_offers_are_its_curve", "test_a_failed_sample_counts_as_little_as_an_invalid_one")
        },
        ("tests.testing.toy_strategies:children", "test_one_sample_is_single"): "a child's samples have seeds of their own",
    }


LAWS = StrategyContract()


def test_a_hidden_race_is_found() -> None:
    with pytest.raises(AssertionError):
        LAWS.test_any_schedule_gives_the_same_answer(Case(toys.hidden_race))


def test_state_between_runs_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        LAWS.test_any_schedule_gives_the_same_answer(Case(toys.remembers))


def test_missing_offers_are_found() -> None:
    with pytest.raises(AssertionError):
        LAWS.test_the_offers_are_its_curve(Case(toys.silent))


def test_answers_out_of_thin_air_are_found() -> None:
    for law in (LAWS.test_a_sure_world_is_answered_rightly, LAWS.test_one_sample_is_single):
        with pytest.raises(AssertionError):
            law(Case(toys.last_wins))
