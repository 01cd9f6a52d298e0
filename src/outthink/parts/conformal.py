"""Conformal tests: whether a score is among the worst of those that calibration saw, with a bound on how often that happens.

If a new score and the calibration scores are exchangeable, a test at level e rejects it with chance e at most. That bounds how
often something is rejected, not how often what is kept is wrong.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from outthink.core.errors import BadInput


class Calibration:
    """Scores of one kind, lower is worse."""

    def __init__(self, scores: Sequence[float | None]) -> None:
        self._badness = sorted(-score for score in scores if score is not None)
        if not self._badness:
            raise BadInput("no score is there to calibrate by", where="calibration")

    def percentile(self, score: float | None) -> float:
        """Share of the calibration scores that are strictly better; 1 for no score at all."""
        return 1.0 if score is None else bisect_left(self._badness, -score) / len(self._badness)

    def p_value(self, score: float | None) -> float:
        """(1 + calibration scores as bad or worse) / (1 + all): small for a bad score."""
        worse = 0 if score is None else len(self._badness) - bisect_left(self._badness, -score)
        return (1 + worse) / (len(self._badness) + 1)

    def rejects(self, score: float | None, level: float, *, compat: bool = False) -> bool:
        """Whether a score is too bad: p-value <= level. compat: percentile >= 1 - level, not corrected for few scores."""
        return self.percentile(score) >= 1 - level - 1e-12 if compat else self.p_value(score) <= level


class Turns:
    """A calibration per turn; turns beyond the last one are tested by the last: scores drift as a sample grows."""

    def __init__(self, turns: Sequence[Sequence[float | None]]) -> None:
        if not turns:
            raise BadInput("no turn is there to calibrate by", where="calibration")
        self._turns = [Calibration(scores) for scores in turns]

    def at(self, turn: int) -> Calibration:
        """That of one turn, from 0."""
        return self._turns[min(turn, len(self._turns) - 1)]
