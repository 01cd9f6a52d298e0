"""When votes are settled: the papers' worked numbers, closed forms against integration and simulation."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput, UnknownName
from outthink.parts import stopping

COUNTS = st.lists(st.integers(0, 30), max_size=6)


@pytest.mark.parametrize(
    ("counts", "chance"),
    [((3,), 0.9375), ((4,), 0.96875), ((5, 1), 0.9375), ((6, 1), 0.9648), ((2, 7), 0.9453), ((8, 2), 0.9673), ((9, 3), 0.9539)],
)
def test_beta(counts: tuple[int, ...], chance: float) -> None:
    assert stopping.beta(counts) == pytest.approx(chance, abs=5e-5)


def test_beta_needs_a_lead_that_grows() -> None:
    leads = [next(v1 for v1 in itertools.count(v2) if stopping.beta((v1, v2)) >= 0.95) for v2 in range(6)]
    assert leads == [4, 6, 8, 9, 11, 12]
    assert stopping.beta(()) == 0.0


@given(st.integers(1, 60), st.integers(0, 60))
def test_beta_is_the_integral(first: int, second: int) -> None:
    first, second = max(first, second), min(first, second)
    assert stopping.leads((first + 1, second + 1)) == pytest.approx(stopping.beta((first, second)), abs=1e-5)
    assert stopping.beta((first, first)) == pytest.approx(0.5)
    assert stopping.beta((first + 1, second)) >= stopping.beta((first, second)) >= stopping.beta((first + 1, second + 1)) - 1e-12


@given(COUNTS, st.randoms(use_true_random=False))
def test_rules_see_votes_only(counts: list[int], chance: random.Random) -> None:
    mixed = [*counts, 0]
    chance.shuffle(mixed)
    for rule in stopping.RULES.values():
        sure = rule.sure(counts)
        assert 0 <= sure <= 1 + 1e-12
        assert rule.sure(mixed) == sure


def test_dirichlet() -> None:
    assert stopping.dirichlet((7, 2)) == stopping.beta((7, 2))
    assert stopping.leads((1, 1, 1)) == pytest.approx(1 / 3, abs=1e-5)
    chance, hits, runs = random.Random(1), 0, 20_000
    for _ in range(runs):
        first, *rest = (chance.gammavariate(shape, 1) for shape in (7, 4, 2, 2))
        hits += first > max(rest)
    assert stopping.dirichlet((6, 3, 1, 1)) == pytest.approx(hits / runs, abs=4 * 0.5 / math.sqrt(runs))
    assert stopping.dirichlet((6, 3, 1, 1, 1, 1, 1)) == stopping.dirichlet((6, 3, 1, 1, 1)), "five classes are compared"
    with pytest.raises(BadInput, match="whole numbers"):
        stopping.leads((3, 0))


def test_the_other_rules() -> None:
    assert stopping.crp((5,)) == pytest.approx(1 - 2**-5, abs=1e-5), "unseen mass is a Beta(1, n)"
    assert stopping.crp((5, 1)) < stopping.crp((5,))
    h = -(0.8 * math.log2(0.8) + 0.2 * math.log2(0.2))
    assert stopping.entropy((4,)) == pytest.approx(1 - h)
    assert (stopping.entropy((1,)), stopping.share((1,))) == (0.0, 0.0), "one vote says nothing"
    assert stopping.share((8, 2)) == 0.8
    limit = stopping.rule("entropy", None, "test").threshold
    assert stopping.entropy((4,)) >= limit > stopping.entropy((3,))
    assert stopping.rule("beta", 0.5, "test").threshold == 0.5
    with pytest.raises(UnknownName, match="dirichlet"):
        stopping.rule("dirichlett", None, "test")


@pytest.mark.parametrize(("p", "samples"), [((0.8, 0.2), 14.61), ((0.6, 0.4), 29.63), ((1.0,), 5.0)])
def test_expected_samples_of_windows(p: tuple[float, ...], samples: float) -> None:
    assert stopping.expected_samples(p, 5, 40) == pytest.approx(samples, abs=0.005)
    assert stopping.expected_samples(p, 1, 40) == pytest.approx(1.0)
    assert stopping.expected_samples(p, 40, 40) == 40
    chance, drawn, runs = random.Random(2), 0, 4000
    for _ in range(runs):
        for _ in range(8):
            drawn += 5
            if len(set(chance.choices(range(len(p)), p, k=5))) == 1:
                break
    assert drawn / runs == pytest.approx(samples, abs=1.0)


def test_larger_windows_risk_less() -> None:
    risks = [stopping.window_risk((0.6, 0.3, 0.1), window) for window in range(2, 11)]
    assert risks == sorted(risks, reverse=True)
    z = math.sqrt(5 * 0.6 / 0.4)
    assert stopping.window_risk((0.6, 0.4), 5) == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)))
    assert stopping.safe_window((0.6, 0.4), 1.0, range(4, 11)) == 4
    assert stopping.safe_window((0.6, 0.4), 1e-9, range(4, 11)) == 10
    assert stopping.safe_window((1.0,), 0.0, range(4, 11)) == 4


def test_expected_gain() -> None:
    assert stopping.expected_gain(1, 1, 0) == pytest.approx(0.5)
    assert stopping.expected_gain(2, 1, 1) == pytest.approx(1 / 6)
    sharp = 1e7
    for p, ceiling, gain, last in [(0.3, 1.0, 0.01, 10), (0.3, 0.8, 0.01, 9), (0.1, 0.9, 0.005, 28), (0.02, 1.0, 0.001, 149)]:
        gains = [stopping.expected_gain(sharp * p, sharp * (1 - p), n, ceiling) for n in range(200)]
        assert next(n for n, each in enumerate(gains) if each <= gain) == last, "TTSPM's saturation points"
        assert gains == sorted(gains, reverse=True)
    with pytest.raises(BadInput, match="above 0"):
        stopping.expected_gain(0, 1, 1)
