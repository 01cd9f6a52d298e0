"""The first problems of an evaluation in full, for a page to drill down into: what was asked, sampled and chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from outthink.core.problem import Problem
from outthink.core.sample import Sample
from outthink.core.selection import Result
from outthink.core.task import Task
from outthink.evaluation.outcomes import Outcome

MOST_PROBLEMS = 64
MOST_SAMPLES = 32


@dataclass(frozen=True, slots=True)
class ShownSample:
    """A sample as it is shown; None is "not known"."""

    text: str
    answer: str | None = None
    correct: bool | None = None
    tokens: int | None = None
    failed: str = ""


@dataclass(slots=True)
class Choice:
    """What a strategy answered at its largest budget; `credits` one per replicate, none without a gold answer."""

    strategy: str
    answer: str | None
    credits: list[float] = field(default_factory=list)

    @property
    def credit(self) -> float | None:
        """Mean over replicates."""
        return sum(self.credits) / len(self.credits) if self.credits else None


@dataclass(slots=True)
class Detail:
    """One problem."""

    problem: str
    text: str
    gold: str | None
    samples: Sequence[ShownSample] = ()
    choices: dict[str, Choice] = field(default_factory=dict)

    @property
    def right(self) -> int:
        """Strategies that answer it right more often than not."""
        return sum(choice.credit is not None and choice.credit > 0.5 for choice in self.choices.values())

    @property
    def votes(self) -> list[tuple[str, int, bool | None]]:
        """(answer, samples, whether it is right), most samples first."""
        counts: dict[str, int] = {}
        right: dict[str, bool | None] = {}
        for sample in self.samples:
            if sample.answer is not None:
                counts[sample.answer] = counts.get(sample.answer, 0) + 1
                right.setdefault(sample.answer, sample.correct)
        return sorted(((name, n, right[name]) for name, n in counts.items()), key=lambda vote: -vote[1])


class Details:
    """Collects them: the samples of the run that drew the most, and every strategy's choice."""

    def __init__(self) -> None:
        self._found: dict[str, Detail] = {}

    def found(self) -> list[Detail]:
        """In order of their first run."""
        return list(self._found.values())

    async def add(self, task: Task, problem: Problem, result: Result, outcome: Outcome) -> None:
        """Take note of one finished run."""
        detail = self._found.get(problem.id)
        if detail is None:
            if len(self._found) >= MOST_PROBLEMS:
                return
            detail = self._found[problem.id] = Detail(problem.id, problem.text, problem.gold)
        choice = detail.choices.setdefault(outcome.strategy, Choice(outcome.strategy, outcome.answer))
        if outcome.credit is not None:
            choice.credits.append(outcome.credit)
        drawn = _drawn(result)
        failed = [ShownSample("", failed=failure.reason) for failure in result.failed]
        if len(drawn) + len(failed) > len(detail.samples) and len(detail.samples) < MOST_SAMPLES:
            detail.samples = [*await _shown(task, problem, drawn[:MOST_SAMPLES]), *failed][:MOST_SAMPLES]


def _drawn(result: Result) -> list[Sample]:
    """The samples of the first generation: answers to the problem, not a verifier's replies or later turns."""
    own = [sample for sample in result.samples if all(step >= 0 for step in sample.key.path)]
    return [sample for sample in own if (sample.key.path, sample.key.seq) == (own[0].key.path, own[0].key.seq)]


async def _shown(task: Task, problem: Problem, samples: Sequence[Sample]) -> list[ShownSample]:
    answers = await task.answers(problem, [sample.whole for sample in samples], [])
    classes = list(dict.fromkeys(answer.answer_class for answer in answers if answer.answer_class is not None))
    right: dict[str, bool] = {}
    if problem.gold is not None and classes:
        right = dict(zip(classes, await task.grade(problem, classes), strict=True))
    return [
        ShownSample(sample.whole, answer.answer_class, right.get(answer.answer_class or ""), sample.tokens)
        for sample, answer in zip(samples, answers, strict=True)
    ]
