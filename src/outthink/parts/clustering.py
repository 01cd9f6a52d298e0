"""Greedy clusters in order of arrival: each item joins the cluster it is most alike, or opens one of its own."""

from __future__ import annotations

from collections.abc import Sequence


class Clusters:
    """Items by number, in clusters.

    threshold: an item joins where the mean likeness to a cluster's first members is above it
    compare:   members of a cluster that an item is compared with
    most:      clusters; once there are so many, an item joins the one it is most alike, whatever that is
    """

    def __init__(self, threshold: float, compare: int, most: int) -> None:
        self.threshold, self._compare, self._most = threshold, compare, most
        self.members: list[list[int]] = []

    def compared(self) -> list[list[int]]:
        """The members of each cluster that the next item is to be compared with."""
        return [members[: self._compare] for members in self.members]

    def place(self, item: int, likeness: Sequence[Sequence[float]]) -> bool:
        """Put an item where it belongs; whether it opened a cluster.

        likeness: to each of `compared()`, same shape. Of equally alike clusters the first is joined.
        """
        means = [sum(each) / len(each) for each in likeness]
        best = max(range(len(means)), key=lambda at: means[at], default=None)
        if best is not None and (means[best] > self.threshold or len(self.members) >= self._most):
            self.members[best].append(item)
            return False
        self.members.append([item])
        return True

    def largest(self) -> list[int]:
        """The members of the largest cluster, of equal ones the first; all items where no two are together."""
        found: list[int] = max(self.members, key=len, default=[])
        return found if len(found) > 1 else [item for members in self.members for item in members]
