"""What the clocks of a journal's runs say, kept until it is worth a row. What is written, and when, is the journal's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

CLOCK_SECONDS = 0.05


class Clocks:
    """Clocks of runs by name, and what they said at each group of rows.

    moments: rows of the table of that name: run, its wall seconds, how far the table of samples went
    walls:   what each run's clock said last
    """

    def __init__(self) -> None:
        self.moments: list[tuple[int, float, int]] = []
        self.walls: dict[int, float] = {}
        self._going: dict[str, Callable[[], float]] = {}
        self._written = -CLOCK_SECONDS

    def __contains__(self, run: object) -> bool:
        """Whether a run goes on."""
        return run in self._going

    def begin(self, run: str, clock: Callable[[], float]) -> None:
        """A run goes on; `clock` says its wall seconds."""
        self._going[run] = clock

    def end(self, run: str, number: int) -> None:
        """It ended now."""
        self.walls[number] = self._going.pop(run)()

    def look(self, runs: Iterable[tuple[str, int]], rows: int | None) -> None:
        """Note what the clocks of these runs say, now that the table of samples has so many rows (None: no more than before)."""
        for run, number in runs:
            if run in self._going:
                self.walls[number] = self._going[run]()
            if rows is not None and number in self.walls:  # else it ended, and that is written
                self.moments.append((number, self.walls[number], rows))

    @property
    def due(self) -> bool:
        """Whether the last writing is so long ago."""
        return time.monotonic() - self._written >= CLOCK_SECONDS

    def written(self) -> None:
        """All of it is in the file."""
        self.moments, self.walls, self._written = [], {}, time.monotonic()
