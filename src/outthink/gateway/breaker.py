"""A circuit breaker: after failures in a row an upstream is left alone for a while, then tried with a single call.

    closed     everything passes
    open       nothing passes until a time that doubles with each opening
    half open  one trial passes; its success closes the breaker, its failure opens it again

It knows no network and no clock of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from outthink.gateway.config import Health


class State(StrEnum):
    """See the module."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """One upstream's. `now` is a clock in seconds."""

    def __init__(self, health: Health, now: Callable[[], float]) -> None:
        self._health, self._now = health, now
        self._failures = 0
        self._openings = 0
        self._opened: float | None = None
        self._trials = 0
        self.reason = ""

    @property
    def state(self) -> State:
        """As of now."""
        if self._opened is None:
            return State.CLOSED
        return State.OPEN if self._now() < self._opened else State.HALF_OPEN

    @property
    def allows(self) -> bool:
        """Whether a call may be made now."""
        state = self.state
        return state is State.CLOSED or (state is State.HALF_OPEN and not self._trials)

    @property
    def opens_in(self) -> float:
        """Seconds until a call may be tried; 0 where one may be now."""
        return max(0.0, (self._opened or 0.0) - self._now()) if self._opened is not None else 0.0

    def begin(self) -> None:
        """A call leaves."""
        if self.state is State.HALF_OPEN:
            self._trials += 1

    def leave(self) -> None:
        """A call was cancelled: it taught nothing."""
        self._trials = max(0, self._trials - 1)

    def succeed(self) -> None:
        """A call was answered."""
        self._failures = self._openings = self._trials = 0
        self._opened, self.reason = None, ""

    def fail(self, reason: str, *, at_once: bool = False) -> None:
        """A call failed. `at_once`: it is known that others would too (a bad key), so that it opens without waiting for more."""
        self._failures += 1
        self.reason = reason
        trial = self._opened is not None
        if trial and self.state is State.OPEN:
            return  # it was under way when the breaker opened
        if trial or at_once or self._failures >= self._health.failures:
            seconds = self._health.open_seconds * 2.0 ** min(self._openings, 60)
            self._opened = self._now() + min(seconds, self._health.longest_open_seconds)
            self._openings += 1
            self._trials = 0

    def try_now(self) -> None:
        """The upstream can be reached again: a trial may be made at once."""
        if self._opened is not None:
            self._opened = min(self._opened, self._now())
