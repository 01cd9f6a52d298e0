"""What sharing saves, against counting by hand and by brute force."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.evaluation.sharing import block_cached, bytes_read, prefill, tree_tokens


@given(st.lists(st.lists(st.integers(0, 2), max_size=6), max_size=8))
def test_a_tree_has_as_many_tokens_as_distinct_prefixes(sequences: list[list[int]]) -> None:
    found = tree_tokens(sequences)
    assert found.distinct == len({tuple(each[: end + 1]) for each in sequences for end in range(len(each))})
    assert found.apart == sum(map(len, sequences))
    assert found.factor >= 1.0


def test_a_tree_by_hand() -> None:
    found = tree_tokens([[1, 2, 3, 4], [1, 2, 3, 5], [1, 2, 6], [1, 2, 6]])
    assert (found.apart, found.distinct, found.factor) == (14, 6, 14 / 6)
    assert tree_tokens([]).factor == 1.0


@pytest.mark.parametrize(
    ("common", "prompt", "block", "cached"),
    [(15, 15, 16, 0), (16, 16, 16, 0), (17, 17, 16, 16), (32, 32, 16, 16), (33, 40, 16, 32), (12, 12, 1, 11), (5, 12, 1, 5)],
)
def test_a_cache_of_blocks_gives_whole_ones_and_never_the_last_token(common: int, prompt: int, block: int, cached: int) -> None:
    assert block_cached(common, prompt, block) == cached


@given(st.integers(1, 5000), st.integers(1, 64), st.integers(1, 64))
def test_prefill_of_one_prompt(prompt: int, samples: int, block: int) -> None:
    assert prefill(prompt, samples) == samples * prompt
    assert prefill(prompt, samples, 0) == prompt
    blocks = prefill(prompt, samples, block)
    again = blocks - prompt
    assert (samples - 1) * 1 <= again <= (samples - 1) * min(block, prompt)  # 1 to b tokens for each further sample
    assert blocks == prompt + (samples - 1) * (prompt - block_cached(prompt, prompt, block))


def test_bytes_of_a_step() -> None:
    assert bytes_read(1000, 512, 64, 8, 10, shared=False) == 1000 + 8 * (512 + 64) * 10
    assert bytes_read(1000, 512, 64, 8, 10, shared=True) == 1000 + (512 + 8 * 64) * 10
    with pytest.raises(BadInput, match="prompt, samples"):
        bytes_read(1, -1, 0, -1, 1, shared=True)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadInput, match="common"):
        block_cached(5, 4)
    with pytest.raises(BadInput, match="prompt"):
        prefill(0, 1)
