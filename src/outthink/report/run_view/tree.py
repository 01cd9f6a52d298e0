"""Which sample continues which: the tree of a run, found in the texts alone, so that it holds for every strategy."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_SHARED = 16
"""Characters that a beginning must share with another sample before it counts as taken from it, where it goes on differently."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A sample's beginning and what it added to it."""

    prefix: str
    text: str


@dataclass(frozen=True, slots=True)
class Branch:
    """Where a sample grows from.

    parent: index of the sample that it continues, or None: it starts the tree
    at:     how much of the parent's own text it keeps, in characters; less than all of it is a branch in the middle
    given:  text that stands between that and its own, which the strategy put there
    """

    parent: int | None
    at: int
    given: str


def branches(pieces: Sequence[Piece]) -> list[Branch]:
    """Where each sample grows from; of equal candidates the latest one before it, else the first after it.

    A sample continues the one whose whole text (beginning and own) shares the most with its beginning; it has to reach into
    that one's own text, and either all of the beginning, all of the other's text, or most of the beginning is shared.
    """
    wholes = _Wholes(pieces)
    memo: dict[str, tuple[int, list[int]]] = {}
    found = []
    for index, piece in enumerate(pieces):
        if piece.prefix not in memo:
            memo[piece.prefix] = wholes.grown_into(piece.prefix)
        shared, candidates = memo[piece.prefix]
        if not candidates:
            found.append(Branch(None, 0, piece.prefix))
            continue
        parent = candidates[max(0, bisect.bisect_left(candidates, index) - 1)]
        found.append(Branch(parent, shared - len(pieces[parent].prefix), piece.prefix[shared:]))
    return found


class _Wholes:
    """The whole texts of all samples in alphabetical order, where what shares a beginning stands together."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._pieces = pieces
        ordered = sorted((piece.prefix + piece.text, index) for index, piece in enumerate(pieces))
        self._texts, self._indices = [text for text, _ in ordered], [index for _, index in ordered]

    def grown_into(self, prefix: str) -> tuple[int, list[int]]:
        """(characters shared, samples in order) of those that share the most with a beginning; () where none does."""
        for shared, candidates in (self._inside(prefix), self._extended(prefix), self._near(prefix)):
            if candidates:
                return shared, sorted(candidates)
        return 0, []

    def _inside(self, prefix: str) -> tuple[int, list[int]]:
        """Samples whose own text goes through the end of the beginning, or ends there."""
        found, at = [], bisect.bisect_left(self._texts, prefix)
        while prefix and at < len(self._texts) and self._texts[at].startswith(prefix):
            if len(self._own_prefix(at)) < len(prefix):
                found.append(self._indices[at])
                if len(self._texts[at]) == len(prefix):  # it ends just there; a longer one is only a branch in the middle
                    found = self._same(at)
                    break
            at += 1
        return len(prefix), found

    def _extended(self, prefix: str) -> tuple[int, list[int]]:
        """Samples whose whole text begins it: the longest of them."""
        end = len(prefix)
        while end > 0:
            at = bisect.bisect_right(self._texts, prefix[:end]) - 1
            if at < 0:
                break
            shared = _shared(prefix[:end], self._texts[at])
            if shared == len(self._texts[at]):
                if found := self._same(at):
                    return shared, found
                shared -= 1
            end = shared  # whatever begins the beginning and sorts before this one is no longer than what is shared
        return 0, []

    def _near(self, prefix: str) -> tuple[int, list[int]]:
        """A sample that shares most of the beginning and goes on differently: a stream that was left, with more added."""
        at, best = bisect.bisect_left(self._texts, prefix), (0, list[int]())
        for place in range(max(0, at - 4), min(len(self._texts), at + 4)):
            own, shared = len(self._own_prefix(place)), _shared(prefix, self._texts[place])
            if own < len(prefix) and shared - own >= LEAST_SHARED and 2 * shared >= len(prefix) and shared > best[0]:
                best = shared, [self._indices[place]]
        return best

    def _same(self, at: int) -> list[int]:
        """All samples with this very text that have a part in it."""
        low, high = bisect.bisect_left(self._texts, self._texts[at]), bisect.bisect_right(self._texts, self._texts[at])
        return [self._indices[each] for each in range(low, high) if len(self._own_prefix(each)) < len(self._texts[at])]

    def _own_prefix(self, at: int) -> str:
        return self._pieces[self._indices[at]].prefix


def _shared(a: str, b: str) -> int:
    """Characters at the beginning of both."""
    if a.startswith(b):
        return len(b)
    low, high = 0, min(len(a), len(b))
    while low < high:  # of slices: faster than a loop over characters
        middle = (low + high + 1) // 2
        if a[:middle] == b[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def depths(found: Sequence[Branch]) -> list[int]:
    """How many samples stand above each."""
    known: dict[int, int] = {}
    for index in range(len(found)):
        way, at = [], index
        while at not in known and found[at].parent is not None:
            way.append(at)
            at = found[at].parent or 0
        depth = known.setdefault(at, 0)
        for each in reversed(way):
            depth += 1
            known[each] = depth
    return [known[index] for index in range(len(found))]
