"""Resampling: right on average under every scheme, also given that a place survives; ties lose nothing."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput, UnknownName
from outthink.parts.resampling import RESAMPLERS, drawn, effective, log_sum, relative, resampled

EXAMPLES = [([0.5, 0.3, 0.2], 4), ([0.9, 0.05, 0.05], 3), ([0.3, 0.0, 0.3, 0.15, 0.25, 0.0], 5), ([2.0, 1.0, 7.0, 3.0], 2)]
STEADY = [name for name in RESAMPLERS if name != "multinomial"]


class Fixed:
    """Draws the same number every time."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number


def copies(scheme: str, weights: list[float], count: int, chance: random.Random, kept: int | None = None) -> list[int]:
    found = Counter(resampled(scheme, weights, count, chance, kept))
    return [found[at] for at in range(len(weights))]


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=12).filter(any),
    st.integers(1, 20),
    st.integers(0, 2**32),
    st.sampled_from(sorted(RESAMPLERS)),
)
def test_every_scheme_gives_as_many_parents_as_asked_for(weights: list[float], count: int, seed: int, scheme: str) -> None:
    found = copies(scheme, weights, count, random.Random(seed))
    assert sum(found) == count
    kept = drawn(weights, random.Random(seed))
    assert copies(scheme, weights, count, random.Random(seed), kept)[kept] >= 1
    for weight, number in zip(weights, found, strict=True):
        share = count * weight / math.fsum(weights)
        assert number == 0 or weight > 0
        if scheme in ("systematic", "ssp"):
            assert math.floor(share - 1e-9) <= number <= math.ceil(share + 1e-9)
        elif scheme == "stratified":
            assert share - 2 < number < share + 2


@pytest.mark.parametrize("scheme", STEADY)
@pytest.mark.parametrize("number", [0.0, 0.3, math.nextafter(1, 0)])
@pytest.mark.parametrize("weight", [0.1, 1 / 3, 1e-300, 7.0])
def test_equal_weights_keep_all(scheme: str, number: float, weight: float) -> None:
    for size in (1, 3, 7, 10, 49):
        assert resampled(scheme, [weight] * size, size, Fixed(number)) == list(range(size))


@pytest.mark.parametrize("scheme", RESAMPLERS)
@pytest.mark.parametrize(("weights", "count"), EXAMPLES)
def test_numbers_are_right_on_average(scheme: str, weights: list[float], count: int) -> None:
    chance, draws = random.Random(5), 4000
    found = [copies(scheme, weights, count, chance) for _ in range(draws)]
    for at, weight in enumerate(weights):
        numbers = [each[at] for each in found]
        mean, share = sum(numbers) / draws, count * weight / sum(weights)
        spread = math.sqrt(sum((number - mean) ** 2 for number in numbers) / draws)
        assert mean == pytest.approx(share, abs=4.5 * spread / math.sqrt(draws) + 1e-9)


@pytest.mark.parametrize("scheme", RESAMPLERS)
@pytest.mark.parametrize(("weights", "count"), EXAMPLES)
def test_given_that_a_place_survives_numbers_are_biased_by_its_own(scheme: str, weights: list[float], count: int) -> None:
    # E[c_j | kept = i] = E[c_i c_j] / E[c_i]: the right side from unconditional draws.
    chance, draws = random.Random(6), 6000
    plain = [copies(scheme, weights, count, chance) for _ in range(draws)]
    for kept in (0, 2):
        given_kept = [copies(scheme, weights, count, chance, kept) for _ in range(draws)]
        share = count * weights[kept] / sum(weights)
        for at in range(len(weights)):
            wanted = [each[kept] * each[at] / share for each in plain]
            found = [float(each[at]) for each in given_kept]
            apart = sum(wanted) / draws - sum(found) / draws
            assert abs(apart) <= 4.5 * math.sqrt((spread(wanted) + spread(found)) / draws) + 1e-9


def spread(numbers: list[float]) -> float:
    mean = sum(numbers) / len(numbers)
    return sum((number - mean) ** 2 for number in numbers) / len(numbers)


def test_steadier_schemes_vary_less() -> None:
    weights, count, draws = [0.35, 0.25, 0.22, 0.18], 6, 4000
    varies = {}
    for scheme in RESAMPLERS:
        chance = random.Random(7)
        found = [copies(scheme, weights, count, chance) for _ in range(draws)]
        varies[scheme] = sum(spread([float(each[at]) for each in found]) for at in range(len(weights)))
    assert varies["multinomial"] > 1.5 * varies["stratified"] > 1.5 * varies["systematic"]
    assert varies["multinomial"] > 1.5 * varies["ssp"]


def test_multinomial_draws_are_those_of_the_standard_library() -> None:
    weights = [0.1, 0.5, 0.15, 0.25]
    for seed in range(20):
        wanted = random.Random(seed).choices(range(4), weights=weights, k=9)
        assert resampled("multinomial", weights, 9, random.Random(seed)) == wanted


def test_effective_sample_size_and_log_sums() -> None:
    assert effective([0.2] * 5) == pytest.approx(5)
    assert effective([0.0, 3.0, 0.0]) == 1
    assert log_sum([math.log(2), math.log(3), -math.inf]) == pytest.approx(math.log(5))
    assert log_sum([]) == log_sum([-math.inf]) == -math.inf
    assert log_sum([1e5, 1e5]) == pytest.approx(1e5 + math.log(2))
    assert relative([-1e5, -1e5 + math.log(2), -math.inf]) == pytest.approx([0.5, 1.0, 0.0])


def test_what_is_no_weight_is_refused() -> None:
    chance = random.Random(0)
    for wrong in ([], [0.0, 0.0], [-1.0, 2.0], [math.nan, 1.0], [math.inf, 1.0]):
        with pytest.raises(BadInput, match="weights"):
            resampled("systematic", wrong, 2, chance)
    with pytest.raises(BadInput, match="kept"):
        resampled("ssp", [0.0, 1.0], 2, chance, 0)
    with pytest.raises(UnknownName, match="systematic"):
        resampled("sistematic", [1.0], 1, chance)
    for logs in ([math.nan], [math.inf, 0.0]):
        with pytest.raises(BadInput, match="log-weight"):
            log_sum(logs)
    with pytest.raises(BadInput, match="no weight is above 0"):
        relative([-math.inf])
