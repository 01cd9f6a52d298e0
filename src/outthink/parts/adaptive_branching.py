"""A tree of whole answers in which each node may get a new child or have one of its children refined further.

What to do next is drawn from beliefs (`outthink.parts.beliefs`). Asking models and scoring is a strategy's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from outthink.core.key import Chance
from outthink.core.sample import Sample
from outthink.parts.beliefs import Belief, mixed

SAME_SHARE, SAME_LEAST = 0.75, 4
"""A subtree with at least so many scores, of which such a share are equal, is passed over (variant M)."""


@dataclass(eq=False)
class Tried:
    """One answer, or the root above all first answers.

    score: the verifier's; the root has none
    fresh, deeper, own: beliefs about a new child of it, about going on under its children, and about itself and what is under it
    """

    parent: Tried | None
    fresh: Belief
    deeper: Belief
    own: Belief
    sample: Sample | None = None
    score: float = math.nan
    children: list[Tried] = field(default_factory=list)

    def scores(self) -> list[float]:
        """Its own and all below, in order of depth first."""
        return [self.score, *(score for child in self.children for score in child.scores())]

    @property
    def depth(self) -> int:
        """Refinements above it; the root's is -1."""
        return -1 if self.parent is None else self.parent.depth + 1


def tree(belief: Callable[[], Belief]) -> Tried:
    """A root without answers."""
    return Tried(None, belief(), belief(), belief())


def add(parent: Tried, sample: Sample, score: float, belief: Callable[[], Belief]) -> Tried:
    """Put a scored answer under `parent` and tell the beliefs on the way up (the paper's backup)."""
    child = Tried(parent, belief(), belief(), belief().after(score), sample, score)
    parent.children.append(child)
    parent.fresh = parent.fresh.after(score)
    node = parent
    while node.parent is not None:
        node.own = node.own.after(score)
        node.parent.deeper = node.parent.deeper.after(score)
        node = node.parent
    return child


Choose = Callable[[Tried, Chance], Tried | None]
"""The child to go on with, or None: a new one."""


def aggregated(node: Tried, chance: Chance) -> Tried | None:
    """Variant A: a new child against going on by one draw each; then a draw per child."""
    if node.fresh.draw(chance) >= node.deeper.draw(chance):
        return None
    draws = [child.own.draw(chance) for child in node.children]
    return node.children[draws.index(max(draws))]


def modelled(node: Tried, chance: Chance) -> Tried | None:
    """Variant M: a draw per child's subtree and one for a child never seen, from one mixed model; stale ones are passed over."""
    groups = [child.scores() for child in node.children]
    draws, fresh = mixed(groups, chance)
    for at in sorted(range(len(draws)), key=lambda at: -draws[at]):
        if draws[at] <= fresh:
            return None
        if not _stale(groups[at]):
            return node.children[at]
    return None


def _stale(scores: Sequence[float]) -> bool:
    (_, most), *_ = Counter(round(score, 2) for score in scores).most_common(1)
    return len(scores) >= SAME_LEAST and most >= SAME_SHARE * len(scores)


def next_parent(root: Tried, choose: Choose, chance: Chance) -> Tried:
    """The node under which the next answer goes: down from the root until a new child is chosen; a leaf always gets one."""
    node = root
    while node.children and (child := choose(node, chance)) is not None:
        node = child
    return node


def next_role(
    roles: Sequence[str], told: Sequence[tuple[str, float]], policy: str, belief: Callable[[], Belief], chance: Chance
) -> str:
    """Which of several models answers next, from all scores that each has had: "thompson", or "ucb" (untried ones first)."""
    if len(roles) == 1:
        return roles[0]
    had = {role: [score for name, score in told if name == role] for role in roles}
    if policy == "ucb":
        total = math.log(max(len(told), 1))
        return max(
            roles,
            key=lambda role: (
                math.fsum(had[role]) / len(had[role]) + math.sqrt(2 * total / len(had[role])) if had[role] else math.inf
            ),
        )

    def drawn(role: str) -> float:
        found = belief()
        for score in had[role]:
            found = found.after(score)
        return found.draw(chance)

    return max(roles, key=drawn)
