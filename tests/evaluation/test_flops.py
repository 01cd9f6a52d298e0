"""Arithmetic per answer against the figures of the paper's models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.evaluation.flops import Shape, flops

M17, M144 = Shape(512, 128, 1024, 8), Shape(1024, 256, 3072, 12)


@pytest.mark.parametrize(
    ("shape", "tokens", "samples", "published"),
    [
        (M17, 256, 1, 4.698e9), (M17, 4096, 1, 1.074e11), (M17, 212, 1, 3.872e9), (M17, 212, 16, 6.194e10),
        (M144, 4096, 1, 6.958e11),
    ],
)  # fmt: skip
def test_published_figures(shape: Shape, tokens: int, samples: int, published: float) -> None:
    assert flops(shape, tokens, samples) == pytest.approx(published, rel=3e-4)


@given(st.builds(Shape, *[st.integers(1, 4096)] * 4), st.integers(1, 4096), st.integers(1, 64))
def test_many_short_answers_cost_less_than_a_long_one(shape: Shape, tokens: int, samples: int) -> None:
    assert flops(shape, tokens, samples) == samples * flops(shape, tokens)
    assert flops(shape, tokens * samples) >= flops(shape, tokens, samples)
    assert (flops(shape, tokens * samples) == flops(shape, tokens, samples)) == (samples == 1)


def test_sizes_that_are_none_are_refused() -> None:
    with pytest.raises(BadInput, match="layers"):
        Shape(512, 128, 1024, 0)
    with pytest.raises(BadInput, match="tokens"):
        flops(M17, -1)
