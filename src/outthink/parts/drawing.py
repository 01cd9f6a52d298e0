"""Drawing samples a few at a time, so that whoever draws can stop: votes counted, and the choice offered, after each.

When to stop is `outthink.parts.stopping`'s; samples that run beside each other are `outthink.parts.racing`'s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BadInput, QuorumNotMet
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample, Samples
from outthink.core.selection import Selection
from outthink.core.task import Answer
from outthink.parts.voting import Tally

HOPELESS_RUN = 8
"""After so many failures in a row no more is asked for: each would cost calls for nothing."""


class Draws:
    """Samples of one problem so far.

    n:      most samples; None: until the budget is spent, which ends the run with what was offered last
    quorum: fewer samples than this, once no more are drawn, are too few
    how:    settings of `Run.generate`
    reasons: why samples failed

    Raises BadInput where nothing would ever end it, and for a quorum of none.
    """

    def __init__(self, run: Run, problem: Problem, n: int | None, quorum: int = 1, **how: Any) -> None:
        if n is None and not run.left.limits():
            raise BadInput("n=None fills the budget, and there is none; give a budget such as '16 samples'", where="n")
        if quorum < 1:
            raise BadInput(f"is {quorum} and must be 1 or more", where="quorum")
        self.run, self.problem, self.n, self.quorum, self.how = run, problem, n, quorum, how
        self.samples: list[Sample] = []
        self.answers: list[Answer] = []
        self.tally = Tally()
        self.votes: Counter[str] = Counter()
        self.asked = 0
        self.reasons: list[str] = []
        self._failures = 0

    @property
    def open(self) -> bool:
        """Whether more may be drawn."""
        return (self.n is None or self.asked < self.n) and self._failures < HOPELESS_RUN

    @property
    def enough(self) -> bool:
        """Whether the quorum arrived: before that nothing may be stopped or offered."""
        return len(self.samples) >= self.quorum

    @property
    def counts(self) -> list[int]:
        """Votes of each answer class."""
        return list(self.votes.values())

    async def more(self, count: int = 1, **now: Any) -> list[Answer]:
        """Draw up to `count` more at once; the answers of those that arrived, invalid ones too.

        now: settings of this draw alone

        Raises what generating raises, but for samples that failed: they are noted.
        """
        count = count if self.n is None else min(count, self.n - self.asked)
        before, self.asked = self.run.spent, self.asked + count
        try:
            drawn = await self.run.generate(self.problem, count, **self.how, **now)
        except QuorumNotMet as none:
            self.reasons += none.failed
            self._failures += count
            self._offer()
            return []
        self._failures = 0
        self.reasons += [failure.reason for failure in drawn.failed]
        answers = await self.run.answers(self.problem, drawn)
        self._count(drawn, answers, before)
        return answers

    def _count(self, drawn: Samples, answers: Sequence[Answer], before: Usage) -> None:
        spent = NOTHING
        for at, (sample, answer) in enumerate(zip(drawn, answers, strict=True), start=1):
            self.tally.add(sample, answer)
            if answer.answer_class is not None:
                self.votes[answer.answer_class] += 1
            self.samples.append(sample)
            spent += sample.usage
            self._offer(before + spent if at < len(drawn) else None)
        self.answers += answers

    def _offer(self, spent: Usage | None = None) -> None:
        if self.enough:
            self.run.offer(self.tally.leading(), spent=spent)

    def chosen(self) -> Selection:
        """The majority of all. Raises QuorumNotMet where too few samples arrived."""
        if not self.enough:
            raise QuorumNotMet(self.quorum, self.samples, self.reasons)
        return self.tally.selection()
