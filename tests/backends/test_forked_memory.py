"""Sharing without an engine: a context that remembers what each sequence holds, and refuses what llama.cpp would abort on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numpy", reason="forked sequences need the extra `forked`")

import numpy as np

from outthink.backends.forked.context import BATCH, Context, Entry
from outthink.backends.forked.memory import Holder, Memory
from outthink.backends.forked.trie import Trie

VOCABULARY = 5
Tokens = tuple[int, ...]


class Remembering:
    """Stands in for `Context`: cells with the sequences that hold them; logits are a function of all tokens before."""

    vocabulary = VOCABULARY

    def __init__(self, cells: int, sequences: int) -> None:
        self.cells, self.sequences = cells, sequences
        self.held: list[tuple[int, int, set[int]]] = []  # token, position, holders

    def tokens_of(self, sequence: int) -> Tokens:
        mine = sorted((position, token) for token, position, holders in self.held if sequence in holders)
        assert [position for position, _ in mine] == list(range(len(mine))), "a hole, or two cells at one position"
        return tuple(token for _, token in mine)

    def decode(self, entries: Sequence[Entry]) -> Any:
        assert 0 < len(entries) <= BATCH
        before = {holder: self.tokens_of(holder) for entry in entries for holder in entry.holders}
        rows = []
        for token, position, holders, wanted in entries:
            assert len({before[holder] for holder in holders}) == 1, "sequences in one cell must have had the same tokens"
            assert {len(self.tokens_of(holder)) for holder in holders} == {position}, "positions follow each other"
            self.held.append((token, position, set(holders)))
            if wanted:
                rows.append(logits(self.tokens_of(next(iter(holders)))))
        assert len(self.held) <= self.cells, "full"
        return np.array(rows, np.float32).reshape(len(rows), VOCABULARY)

    def fork(self, source: int, target: int, start: int, end: int) -> None:
        for _, position, holders in self.held:
            if source in holders and start <= position < end:
                holders.add(target)

    def trim(self, sequence: int, start: int) -> None:
        for _, position, holders in self.held:
            if position >= start:
                holders.discard(sequence)
        self.held = [cell for cell in self.held if cell[2]]

    def clear(self) -> None:
        self.held = []


def logits(tokens: Tokens) -> list[float]:
    return [float(hash((tokens, at)) % 1000) for at in range(VOCABULARY)]


def prefixes(sequences: Sequence[Sequence[int]]) -> set[Tokens]:
    return {tuple(each[: end + 1]) for each in sequences for end in range(len(each))}


def memory_of(cells: int, *, live: int, kept: int = 10**6, sequences: int = 16) -> tuple[Memory, Remembering]:
    context = Remembering(cells, sequences)
    return Memory(cast(Context, context), live=live, kept=kept), context


token_lists = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=7), min_size=1, max_size=8)


@given(token_lists)
def test_a_trie_has_one_node_for_each_distinct_prefix_and_loses_it_with_its_last_holder(sequences: list[list[int]]) -> None:
    trie = Trie()
    ends = [trie.enter(holder, tokens) for holder, tokens in enumerate(sequences)]
    assert trie.size == len(prefixes(sequences))
    assert all(trie.common(tokens) == len(tokens) for tokens in sequences)
    for holder, end in enumerate(ends):
        assert [node.depth for node in end.missing()] == list(range(1, len(sequences[holder]) + 1))
        gone = trie.leave(holder, end)
        rest = prefixes(sequences[holder + 1 :])
        assert trie.size == len(rest)
        assert len(gone) == len(prefixes(sequences[holder:])) - len(rest)
    assert not trie.root.children


@given(token_lists)
def test_what_is_computed_is_each_distinct_prefix_once(sequences: list[list[int]]) -> None:
    memory, context = memory_of(400, live=8)
    holders = [memory.admit(tokens, 1) for tokens in sequences]
    while lacking := [each for each in holders if each and memory.row(each) is None]:
        memory.compute(lacking)
    distinct = len(prefixes(sequences))
    assert (memory.computed.tokens, memory.computed.again) == (distinct, 0)
    assert memory.size == len(context.held) == distinct
    assert memory.computed.asked == sum(map(len, sequences))
    for holder, tokens in zip(holders, sequences, strict=True):
        assert holder is not None
        assert list(cast(Any, memory.row(holder))) == logits(tuple(tokens))
        assert context.tokens_of(holder.sequence) == tuple(tokens)
    assert sum(len(tokens) for tokens in sequences) - sum(each.cached for each in holders if each) == distinct


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=60), st.integers(0, 30), st.booleans())
def test_whatever_comes_rows_are_those_of_the_samples_own_tokens(
    moves: list[tuple[int, int]], kept: int, forgetful: bool
) -> None:
    """Samples come, grow and go at random in a memory that is just large enough; remembered logits or not."""
    live_at_most, longest = 3, 8
    memory, context = memory_of(live_at_most * longest + live_at_most, live=live_at_most, kept=kept, sequences=5)
    if forgetful:
        memory._most_rows = 1  # less than is live: what is lost has to be computed again
    live: list[tuple[Holder, list[int]]] = []
    for move, number in moves:
        if move <= 1 and len(live) < live_at_most:
            prompt = [number % 2, number % 3, 0, 1, 1][: 1 + number % 5]
            found = memory.admit(prompt, longest - len(prompt))
            assert found is not None, "there is room for as many as may live"
            live.append((found, prompt))
        elif move == 2 and live:
            memory.release(live.pop(number % len(live))[0])
        else:
            lacking = [holder for holder, _ in live if memory.row(holder) is None]
            if lacking:
                memory.compute(lacking)
            for holder, tokens in live:
                if (row := memory.row(holder)) is not None:
                    assert list(row) == logits(tuple(tokens))
                    if holder.more:
                        tokens.append(int(row.argmax()) % 2 if number % 2 else number % VOCABULARY)
                        memory.step(holder, tokens[-1])
        assert len(context.held) <= memory.size <= context.cells
        for holder, tokens in live:
            mine = context.tokens_of(holder.sequence)
            assert mine == tuple(tokens[: len(mine)])
    for holder, _ in live:
        memory.release(holder)
    memory.forget()
    assert memory.size == len(context.held) == 0
    assert sorted(memory._free) == list(range(5))


def test_a_sample_that_has_no_place_waits_for_one_to_end() -> None:
    memory, _ = memory_of(20, live=2)
    first = memory.admit([0, 1, 2], 10)
    assert first is not None
    assert memory.admit([1, 1, 1], 10) is None
    assert memory.admit([0, 1, 1], 4) is not None  # two of its tokens are here already
    memory.release(first)
    assert memory.admit([1, 1, 1], 8) is not None


def test_ended_samples_leave_what_they_computed_until_the_room_is_needed() -> None:
    memory, context = memory_of(40, live=2, kept=6)
    for tokens, cached in (([0, 1, 2, 3], 0), ([0, 1, 2, 4], 3), ([0, 1, 2, 3, 1], 4), ([3, 3, 3, 3], 0), ([0, 1], 0)):
        holder = memory.admit(tokens, 1)
        assert holder is not None
        assert holder.cached == cached
        memory.compute([holder])
        memory.release(holder)
        assert memory.size == len(context.held) <= 6
