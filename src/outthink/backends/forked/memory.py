"""The memory of one context: what live samples and ended ones hold, what has to be computed next, and what was.

Every distinct prefix is computed once and held in one cell, whoever asks for it (see `trie`); cells of ended samples stay until
the room is needed. Threads, text and chance must not live here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outthink.backends.forked.context import BATCH, Context, Entry
from outthink.backends.forked.trie import Node, Trie
from outthink.core.errors import InternalError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Computed", "Holder", "Memory"]

ROWS = 32 << 20
"""Bytes of logits that are remembered, so that a prefix that comes again needs no computing at all."""


@dataclass(slots=True)
class Computed:
    """Tokens since the beginning.

    asked:  prompt tokens of all samples, and completion tokens that the model had to read to go on
    tokens: computed, the ones computed again included
    again:  computed again, because their logits were forgotten
    """

    asked: int = 0
    tokens: int = 0
    again: int = 0


@dataclass(slots=True, eq=False)
class Holder:
    """A live sample's place: its sequence, the node where it ends, tokens it may still get, prompt tokens it found computed."""

    sequence: int
    node: Node
    more: int
    cached: int


class Memory:
    """`cells` tokens of a context, `kept` of which ended samples may still hold. Not for two threads at once.

    live: samples at most. As many cells stay free: a token that is computed again takes one for a moment.
    """

    def __init__(self, context: Context, *, live: int, kept: int) -> None:
        self._context, self._kept_cells = context, kept
        self._cells = context.cells - live
        self._most_rows = max(live, ROWS // (4 * context.vocabulary))
        self.computed = Computed()
        self._reset()

    @property
    def size(self) -> int:
        """Cells that are held."""
        return self._trie.size

    def admit(self, tokens: Sequence[int], more: int) -> Holder | None:
        """A place for a prompt and `more` further tokens; None while there is none. What is here is forked."""
        while True:
            common = self._trie.common(tokens)
            if self._free and self._trie.size + self._promised + len(tokens) - common + more <= self._cells:
                break
            if not self._kept:
                return None
            self._forget(next(iter(self._kept)))
        sequence = self._free.pop()
        node = self._trie.enter(sequence, tokens)
        self._promised += more
        self.computed.asked += len(tokens)
        for each in node.path():
            if each.computed:
                source = self._other(each, sequence)
                self._context.fork(source, sequence, 0, each.depth)
                if source in self._kept:
                    self._kept.move_to_end(source)
                break
        return Holder(sequence, node, more, common)

    def row(self, holder: Holder) -> NDArray[np.float32] | None:
        """The logits after all its tokens, where they are known."""
        return self._rows.get(holder.node)

    def step(self, holder: Holder, token: int) -> None:
        """It goes on by a token."""
        node = self._trie.extend(holder.sequence, holder.node, token)
        if node.computed:
            self._context.fork(self._other(node, holder.sequence), holder.sequence, node.depth - 1, node.depth)
        holder.node, holder.more = node, holder.more - 1
        self._promised -= 1
        self.computed.asked += 1

    def compute(self, holders: Sequence[Holder]) -> None:
        """Compute one batch of what these lack for their rows: samples that go on before prompts. Raises Lost: see `lose`."""
        missing = sorted(((holder.node.missing(), holder) for holder in holders), key=lambda each: len(each[0]))
        wanted = {holder.node for holder in holders}
        entries: dict[Node, Entry] = {}
        again: list[Holder] = []
        for nodes, holder in missing:
            if not nodes and holder.node not in entries and len(entries) < BATCH:
                again.append(holder)
                self._context.trim(holder.sequence, holder.node.depth - 1)
                entries[holder.node] = Entry(holder.node.token, holder.node.depth - 1, (holder.sequence,), True)
            for node in nodes:
                if node in entries:
                    continue
                if len(entries) == BATCH:
                    break
                entries[node] = Entry(node.token, node.depth - 1, node.holders, node in wanted)
        rows = self._context.decode(list(entries.values()))
        for node, row in zip((node for node in entries if node in wanted), rows, strict=True):
            self._remember(node, row)
        for node in entries:
            node.computed = True
        for holder in again:  # back into the one cell that all share
            node, sequence = holder.node, holder.sequence
            holder.cached = min(holder.cached, node.depth - 1)
            if len(node.holders) > 1:
                self._context.trim(sequence, node.depth - 1)
                self._context.fork(self._other(node, sequence), sequence, node.depth - 1, node.depth)
        self.computed.tokens += len(entries)
        self.computed.again += len(again)

    def release(self, holder: Holder) -> None:
        """Its sample has ended or was left: what was computed is kept while there is room."""
        self._promised -= holder.more
        sequence, node = holder.sequence, holder.node
        while not node.computed:
            assert node.parent is not None
            node = node.parent
        self._trie.leave(sequence, holder.node, above=node)
        self._kept[sequence] = node
        if node.parent is None or len(node.holders) > 1:  # it holds nothing of its own
            self._forget(sequence)
        while self._kept and self._trie.size > self._kept_cells:
            self._forget(next(iter(self._kept)))

    def forget(self) -> None:
        """Let go of all that ended samples hold."""
        while self._kept:
            self._forget(next(iter(self._kept)))

    def lose(self) -> None:
        """The engine failed: nothing that it holds can be relied on. Every holder is void."""
        self._context.clear()
        self._reset()

    def _reset(self) -> None:
        self._trie = Trie()
        self._free = list(range(self._context.sequences - 1, -1, -1))
        self._kept: OrderedDict[int, Node] = OrderedDict()  # sequences of ended samples, longest unused first
        self._rows: OrderedDict[Node, NDArray[np.float32]] = OrderedDict()
        self._promised = 0

    def _forget(self, sequence: int) -> None:
        for node in self._trie.leave(sequence, self._kept.pop(sequence)):
            self._rows.pop(node, None)
        self._context.trim(sequence, 0)
        self._free.append(sequence)

    def _remember(self, node: Node, row: NDArray[np.float32]) -> None:
        self._rows[node] = row.copy()  # the engine's own is overwritten
        if len(self._rows) > self._most_rows:
            self._rows.popitem(last=False)

    @staticmethod
    def _other(node: Node, sequence: int) -> int:
        for holder in node.holders:
            if holder != sequence:
                return holder
        raise InternalError("a computed token is held by nobody else")
