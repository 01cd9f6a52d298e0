"""Which of a run's samples each sample is: what replays and simulated worlds draw by. Nothing here asks for any."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from outthink.core.operation import Generate
from outthink.runtime.rows import Row

PLACE = "place"
"""In the `meta` of a row: where what runs beside it decides about its place, which a resume could not find out again."""

Place = tuple[int, int]


def recorded_places(rows: Iterable[Row]) -> dict[int, Place]:
    """The places that rows of one operation had, by the index of their samples."""
    return {row.index: (place[0], place[1]) for row in rows if (place := row.meta.get(PLACE)) is not None}


class Taken(defaultdict[Hashable, Iterator[int]]):
    """A run's next places, of each role, and of each prompt, temperature and stop strings of a role.

    before: what the journal holds of the run; recorded places are not given out again, to whatever prompt
    """

    def __init__(self, before: Iterable[Row] = ()) -> None:
        super().__init__(itertools.count)
        places = [place for row in before if (place := row.meta.get(PLACE)) is not None]
        self._ordinals, self._withins = (frozenset(place[at] for place in places) for at in (0, 1))

    def next(self, role: str, own: Hashable) -> Place:
        """The next place among all samples of the role, and among those that are asked for alike."""
        return _free(self[role], self._ordinals), _free(self[own], self._withins)


def _free(counter: Iterator[int], recorded: frozenset[int]) -> int:
    place = next(counter)
    while place in recorded:
        place = next(counter)
    return place


@dataclass(slots=True)
class Places:
    """The places of one operation's samples; those that are known to be asked for are taken when it is made.

    An operation that fills its budget takes one as each sample is asked for, so that none is taken twice by what runs beside it.
    """

    operation: Generate
    taken: Taken
    recorded: Mapping[int, Place] = field(default_factory=dict)
    _found: list[Place] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reach(self.operation.n or 0)

    def of(self, index: int) -> Place:
        """A sample's place in the run, from 0: among all samples of its role, and among those that were asked for alike (prompt,
        temperature, stop strings)."""
        self.reach(index + 1)
        return self._found[index]

    def reach(self, count: int) -> None:
        """Take the places of the first `count` samples."""
        role, stop = self.operation.role, self.operation.sampling.stop
        for index in range(len(self._found), count):
            own = role, self.operation.prompt(index), self.operation.temperature(index), stop
            self._found.append(self.recorded[index] if index in self.recorded else self.taken.next(role, own))
