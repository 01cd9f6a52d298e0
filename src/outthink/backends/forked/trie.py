"""Who holds which token: sequences of tokens as a trie in which every distinct prefix is one node. Pure; no engine in here.

A node stands for one cell of the engine's memory: the keys and values of one token after one prefix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["Node", "Trie"]


class Node:
    """One token after one prefix.

    depth:    tokens from the beginning up to and with this one; its position is depth - 1
    holders:  sequences that go through it
    computed: its cell holds keys and values, for all holders
    """

    __slots__ = ("children", "computed", "depth", "holders", "parent", "token")

    def __init__(self, token: int, parent: Node | None) -> None:
        self.token, self.parent = token, parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.children: dict[int, Node] = {}
        self.holders: set[int] = set()
        self.computed = parent is None

    def path(self) -> Iterator[Node]:
        """This node and those above it, up to the root, which is none of them."""
        node = self
        while node.parent is not None:
            yield node
            node = node.parent

    def missing(self) -> list[Node]:
        """What has to be computed for this node, parents first."""
        found = []
        for node in self.path():
            if node.computed:
                break
            found.append(node)
        return found[::-1]


class Trie:
    """size: its nodes, the root not counted."""

    def __init__(self) -> None:
        self.root = Node(-1, None)
        self.size = 0

    def common(self, tokens: Sequence[int]) -> int:
        """How many of these tokens, from the first on, are here already."""
        node: Node | None = self.root
        for depth, token in enumerate(tokens):
            if (node := node.children.get(token) if node is not None else None) is None:
                return depth
        return len(tokens)

    def enter(self, holder: int, tokens: Sequence[int]) -> Node:
        """A sequence takes hold of all these tokens; returns the last one's node."""
        node = self.root
        for token in tokens:
            node = self.extend(holder, node, token)
        return node

    def extend(self, holder: int, node: Node, token: int) -> Node:
        """A sequence that ends at `node` goes on by one token; returns the token's node."""
        child = node.children.get(token)
        if child is None:
            child = node.children[token] = Node(token, node)
            self.size += 1
        child.holders.add(holder)
        return child

    def leave(self, holder: int, end: Node, above: Node | None = None) -> list[Node]:
        """A sequence lets go of its nodes from `end` up to below `above` (the root); returns the ones that nobody holds now."""
        gone = []
        for node in end.path():
            if node is above:
                break
            node.holders.discard(holder)
            if not node.holders:
                assert node.parent is not None
                del node.parent.children[node.token]
                self.size -= 1
                gone.append(node)
        return gone
