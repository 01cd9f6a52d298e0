"""A search tree over traces with visits and values: selection by upper confidence, backup of means.

How a node is expanded and valued is a strategy's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from outthink.parts.traces import Trace


@dataclass(eq=False)
class Node:
    """One trace in the tree.

    visits: evaluations of it and of what is below;  total: their sum
    """

    trace: Trace
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    total: float = 0.0
    expanded: bool = False

    @property
    def mean(self) -> float:
        """Q: the mean of all values backed up here; 0 before any."""
        return self.total / self.visits if self.visits else 0.0

    def chosen(self, exploration: float) -> Node:
        """The child of highest Q + c sqrt(ln N(parent) / N(child)) (UCT); unvisited ones first, by score; ties: the first."""

        def bound(child: Node) -> tuple[bool, float]:
            if not child.visits:
                return True, child.trace.rank
            return False, child.mean + exploration * math.sqrt(math.log(max(self.visits, 1)) / child.visits)

        return max(self.children, key=bound)

    def descend(self, exploration: float) -> Node:
        """The node to look at next: down until one that has no children or was never visited."""
        node = self
        while node.children and (node.visits or node.parent is None):
            node = node.chosen(exploration)
        return node

    def most_visited(self) -> Node:
        """The leaf that is reached by the most visited child each time, of those below which something can go on; ties: the best
        scored."""

        def worth(child: Node) -> tuple[bool, int, float]:
            return any(not each.expanded for each in child.all()), child.visits, child.trace.rank

        node = self
        while node.children:
            node = max(node.children, key=worth)
        return node

    def back_up(self, value: float) -> None:
        """Count a value here and everywhere above."""
        node: Node | None = self
        while node is not None:
            node.visits += 1
            node.total += value
            node = node.parent

    def all(self) -> Iterator[Node]:
        """Itself and everything below, depth first."""
        left = [self]
        while left:
            node = left.pop()
            yield node
            left += reversed(node.children)
