"""Choosing an answer from samples by their votes. How heavy a vote is lives in `outthink.parts.weights`.

One rule for everything here. Invalid answers never vote, nor does a weight or score of None. Weights are finite and not
negative. Classes are compared exactly (no rounding, so the order of the votes changes no sum). Of classes with equal
weight the one with the higher sum of scores wins, then the one that came first in key order; `Selection.tie` tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from outthink.core.errors import BadInput
from outthink.core.sample import Sample
from outthink.core.selection import Selection
from outthink.core.task import Answer

Exact = int | Fraction
Scores = Sequence[float | None]


def _exact(value: float, what: str) -> Exact:
    if isinstance(value, int):
        return int(value)
    if not math.isfinite(value):
        raise BadInput(f"{value!r} is no {what}: it must be finite; None says that there is none", where="vote")
    return Fraction(value)


@dataclass(slots=True)
class _Standing:
    """One answer class: its weight, the sum of its scores, when it came, and the sample that stands for it."""

    answer_class: str
    came: int
    weight: Exact
    scores: Exact
    sample: Sample
    text: str
    best: Exact | None

    @property
    def rank(self) -> tuple[Exact, Exact, int]:
        return self.weight, self.scores, -self.came


class Tally:
    """Votes by answer class, counted as they come: constant time per vote, so that every prefix can be offered.

    The sample that stands for a class is its best-scored one, else its first.
    """

    def __init__(self) -> None:
        self._standings: dict[str, _Standing] = {}
        self._leader: _Standing | None = None
        self._level = 0  # classes with the leader's weight
        self._total: Exact = 0

    def add(self, sample: Sample, answer: Answer, weight: float | None = 1, score: float | None = None) -> None:
        """Count one vote; call in key order. Raises BadInput for a weight or score that can't be one."""
        if answer.answer_class is None or answer.text is None or weight is None:
            return
        heavy, scored = self._weight(weight), None if score is None else _exact(score, "score")
        self._total += heavy
        found = self._standings.get(answer.answer_class)
        if found is None:
            found = _Standing(answer.answer_class, len(self._standings), heavy, scored or 0, sample, answer.text, scored)
            self._standings[answer.answer_class] = found
            before = None
        else:
            before = found.rank
            found.weight = self._joined(found.weight, heavy)
            found.scores += scored or 0
            if scored is not None and (found.best is None or scored > found.best):
                found.sample, found.text, found.best = sample, answer.text, scored
        self._place(found, before)

    def _place(self, moved: _Standing, before: tuple[Exact, Exact, int] | None) -> None:
        """Keep the leader after one class moved from rank `before`."""
        leader = self._leader
        if leader is None or (moved is not leader and moved.weight > leader.weight):
            self._leader, self._level = moved, 1
        elif moved is leader:
            assert before is not None
            if moved.weight > before[0]:
                self._level = 1
            elif moved.rank < before:  # a vote without weight and with a negative score
                self._leader = max(self._standings.values(), key=lambda standing: standing.rank)
        elif moved.weight == leader.weight:
            self._level += before is None or before[0] < moved.weight
            self._leader = max(leader, moved, key=lambda standing: standing.rank)

    def _weight(self, weight: float) -> Exact:
        if weight < 0:
            raise BadInput(
                f"{weight!r} is no weight: it must be 0 or more; scale raw scores first (scale='minmax')", where="vote"
            )
        return _exact(weight, "weight")

    def _joined(self, old: Exact, new: Exact) -> Exact:
        return old + new

    def _confidence(self, leader: _Standing) -> float | None:
        return float(leader.weight / self._total) if self._total else None

    def leading(self) -> Selection:
        """The choice so far without the table of votes, in constant time: what a run offers on the way."""
        leader = self._leader
        if leader is None:
            return Selection(None)
        return Selection(leader.text, leader.answer_class, self._confidence(leader), leader.sample, tie=self._level > 1)

    def selection(self) -> Selection:
        """The choice with the table of votes, heaviest first; Selection(None) where nothing valid voted."""
        ranked = sorted(self._standings.values(), key=lambda standing: standing.rank, reverse=True)
        return replace(self.leading(), votes={standing.answer_class: float(standing.weight) for standing in ranked})


class Best(Tally):
    """A class is as heavy as its best vote: naive best-of-n. Any finite weight will do; the confidence is that weight."""

    def _weight(self, weight: float) -> Exact:
        return _exact(weight, "score")

    def _joined(self, old: Exact, new: Exact) -> Exact:
        return max(old, new)

    def _confidence(self, leader: _Standing) -> float | None:
        return float(leader.weight)


Weigh = Callable[[Scores], list[float | None]]


def growing(
    samples: Sequence[Sample],
    answers: Sequence[Answer],
    scores: Scores | None = None,
    *,
    weigh: Weigh | None = None,
    tally: type[Tally] = Tally,
) -> Iterator[Selection]:
    """The choice after each sample; the last one has the table of votes.

    scores: one per sample; None: every vote weighs 1 and nothing is scored
    weigh:  weights of a prefix from its scores (see `outthink.parts.weights`; scores of invalid answers are None there), in
            time linear in the prefix or worse; None: a vote weighs its score
    """
    heard = None
    if scores is not None:
        heard = [score if answer.valid else None for answer, score in zip(answers, scores, strict=True)]
    votes = tally()
    for at, (sample, answer) in enumerate(zip(samples, answers, strict=True)):
        if heard is None:
            votes.add(sample, answer)
        elif weigh is None:
            votes.add(sample, answer, heard[at], heard[at])
        else:
            votes = tally()
            for known, weight in enumerate(weigh(heard[: at + 1])):
                votes.add(samples[known], answers[known], weight, heard[known])
        yield votes.selection() if at + 1 == len(samples) else votes.leading()
