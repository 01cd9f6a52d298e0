"""Which of a run's samples each sample is: what replays and simulated worlds draw by. Nothing here asks for any."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

from outthink.core.operation import Generate


class Taken(defaultdict[Hashable, Iterator[int]]):
    """A run's next places, of each role, and of each prompt, temperature and stop strings of a role."""

    def __init__(self) -> None:
        super().__init__(itertools.count)


@dataclass(slots=True)
class Places:
    """The places of one operation's samples; those that are known to be asked for are taken when it is made.

    An operation that fills its budget takes one as each sample is asked for, so that none is taken twice by what runs beside it.
    """

    operation: Generate
    taken: Taken
    _found: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reach(self.operation.n or 0)

    def of(self, index: int) -> tuple[int, int]:
        """A sample's place in the run, from 0: among all samples of its role, and among those that were asked for alike (prompt,
        temperature, stop strings)."""
        self.reach(index + 1)
        return self._found[index]

    def reach(self, count: int) -> None:
        """Take the places of the first `count` samples."""
        role, stop = self.operation.role, self.operation.sampling.stop
        for index in range(len(self._found), count):
            own = role, self.operation.prompt(index), self.operation.temperature(index), stop
            self._found.append((next(self.taken[role]), next(self.taken[own])))
