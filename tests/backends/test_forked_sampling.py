"""Drawing tokens: shares against the law, filters against plain loops, penalties against the formula."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numpy", reason="forked sequences need the extra `forked`")

import numpy as np

from outthink.backends.forked.sampling import drawn, log_normalisers, most_probable, penalised
from outthink.core.sampling import Sampling

ROW = np.log(np.array([0.05, 0.4, 0.2, 0.3, 0.05], np.float32))
GRID = [(at + 0.5) / 1000 for at in range(1000)]


def shares(settings: Sampling, row: Any = ROW, seen: Counter[int] | None = None) -> list[float]:
    """How often each token is drawn, over an even grid of chances."""
    found = Counter(drawn(np.stack([row] * len(GRID)), [settings] * len(GRID), GRID, [seen] * len(GRID)))
    return [found[token] / len(GRID) for token in range(len(row))]


@pytest.mark.parametrize(
    ("settings", "law"),
    [
        (Sampling(temperature=1.0), [0.05, 0.4, 0.2, 0.3, 0.05]),
        (Sampling(temperature=0.5), [0.0025 / 0.295, 0.16 / 0.295, 0.04 / 0.295, 0.09 / 0.295, 0.0025 / 0.295]),
        (Sampling(temperature=0.0), [0, 1, 0, 0, 0]),
        (Sampling(temperature=1.0, top_k=2), [0, 4 / 7, 0, 3 / 7, 0]),
        (Sampling(temperature=1.0, top_p=0.65), [0, 4 / 7, 0, 3 / 7, 0]),
        (Sampling(temperature=1.0, top_p=0.71), [0, 4 / 9, 2 / 9, 3 / 9, 0]),
        (Sampling(temperature=1.0, min_p=0.2), [0, 4 / 9, 2 / 9, 3 / 9, 0]),
        (Sampling(temperature=1.0, top_k=3, top_p=0.75), [0, 4 / 7, 0, 3 / 7, 0]),  # top_p looks at what top_k left
        (Sampling(temperature=0.5, min_p=0.3), [0, 0.16 / 0.25, 0, 0.09 / 0.25, 0]),  # min_p looks at it after the temperature
        (Sampling(temperature=1.0, top_k=1), [0, 1, 0, 0, 0]),
    ],
)
def test_shares_follow_the_law(settings: Sampling, law: list[float]) -> None:
    assert shares(settings) == pytest.approx(law, abs=2e-3)


def test_rows_with_other_settings_do_not_meddle() -> None:
    settings = [Sampling(temperature=0.0), Sampling(temperature=1.0), Sampling(temperature=1.0, top_k=1)]
    alone = [drawn(ROW[None], [each], [0.999], [None])[0] for each in settings]
    assert drawn(np.stack([ROW] * 3), settings, [0.999] * 3, [None] * 3) == alone == [1, 4, 1]


def test_penalties_are_llama_cpps() -> None:
    row, seen = np.array([2.0, -2.0, 1.0], np.float32), Counter({0: 3, 1: 1})
    found = penalised(row, Sampling(repeat_penalty=2.0, frequency_penalty=0.25, presence_penalty=0.5), seen)
    assert list(found) == [2 / 2 - 3 * 0.25 - 0.5, -2 * 2 - 0.25 - 0.5, 1.0]
    assert list(row) == [2.0, -2.0, 1.0]
    assert shares(Sampling(temperature=0.0, presence_penalty=2.0), seen=Counter({1: 1})) == [0, 0, 0, 1, 0]


@given(st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=30), st.floats(0, 1, exclude_max=True), st.integers(1, 8))
def test_a_token_is_always_found_and_logarithms_are_right(values: list[float], chance: float, count: int) -> None:
    row = np.array(values, np.float32)
    token = drawn(row[None], [Sampling(temperature=1.0)], [chance], [None])[0]
    mass = np.exp(row.astype(float) - row.max())
    point = chance * mass.sum()
    assert mass[:token].sum() <= point * (1 + 1e-12)
    assert point <= mass[: token + 1].sum() * (1 + 1e-12)
    exact = math.log(math.fsum(math.exp(float(value) - 50) for value in row)) + 50
    assert log_normalisers(row[None])[0] == pytest.approx(exact, abs=1e-4)
    assert [row[at] for at in most_probable(row, count)] == sorted(row, reverse=True)[:count]


def test_the_last_chance_of_all_draws_a_token_that_was_left() -> None:
    row = np.array([0.0, 0.0, -100.0], np.float32)
    assert drawn(row[None], [Sampling(temperature=1.0, top_k=2)], [math.nextafter(1, 0)], [None]) == [1]
