"""The first problems of an evaluation in full, for a page to drill down into: what was asked, sampled and chosen, and where it
went wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from outthink.core.problem import Problem
from outthink.core.sample import Sample
from outthink.core.selection import Result
from outthink.core.task import Task
from outthink.evaluation.outcomes import Outcome

MOST_PROBLEMS = 64
MOST_SAMPLES = 32
MOST_ANSWERS = 8


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
    """What a strategy answered at the budget where it used most samples.

    budget, samples: that budget, and how many it used
    answer_class, votes: of its first replicate: the class it chose, and each class's votes or weight
    credits:         one per replicate, none without a gold answer
    """

    strategy: str
    budget: str
    samples: int
    answer: str | None
    answer_class: str | None = None
    votes: Mapping[str, float] = field(default_factory=dict)
    credits: list[float] = field(default_factory=list)

    @property
    def credit(self) -> float | None:
        """Mean over replicates."""
        return sum(self.credits) / len(self.credits) if self.credits else None

    @property
    def right(self) -> bool | None:
        """Whether it is right more often than not; None without a gold answer."""
        return None if self.credit is None else self.credit > 0.5


@dataclass(frozen=True, slots=True)
class Answered:
    """One class of answers: how many of the shown samples have it, whether it is right, and its votes by strategy."""

    answer: str
    samples: int
    correct: bool | None
    votes: Mapping[str, float]


@dataclass(slots=True)
class Detail:
    """One problem. `drawn` is how many samples the run drew that the shown ones are the first of."""

    problem: str
    text: str
    gold: str | None
    samples: Sequence[ShownSample] = ()
    drawn: int = 0
    choices: dict[str, Choice] = field(default_factory=dict)

    @property
    def right(self) -> int:
        """Strategies that answer it right more often than not."""
        return sum(choice.right is True for choice in self.choices.values())

    @property
    def answers(self) -> list[Answered]:
        """The classes of answers with most samples, and every one that was chosen."""
        counts: dict[str, int] = {}
        right: dict[str, bool | None] = {}
        for sample in self.samples:
            if sample.answer is not None:
                counts[sample.answer] = counts.get(sample.answer, 0) + 1
                right.setdefault(sample.answer, sample.correct)
        for choice in self.choices.values():
            if choice.answer_class is not None:
                counts.setdefault(choice.answer_class, 0)
                right.setdefault(choice.answer_class, choice.right if len(choice.credits) == 1 else None)
        ranked = sorted(counts, key=lambda name: -counts[name])
        chosen = {choice.answer_class for choice in self.choices.values()}
        return [
            Answered(
                name, counts[name], right[name], {c.strategy: c.votes[name] for c in self.choices.values() if name in c.votes}
            )
            for at, name in enumerate(ranked)
            if at < MOST_ANSWERS or name in chosen or right[name]
        ]

    @property
    def kind(self) -> str:
        """Where it went wrong, in a word: see `KINDS`."""
        if self.gold is None:
            return "no gold answer"
        if self.right == len(self.choices):
            return "right"
        if not any(sample.correct for sample in self.samples):
            return "never sampled"
        return "not chosen"

    @property
    def story(self) -> str:
        """Where it went wrong, in a sentence."""
        wrong = [choice.strategy for choice in self.choices.values() if choice.right is False]
        hits, shown = sum(bool(sample.correct) for sample in self.samples), len(self.samples)
        counted = f"{hits} of {'the first ' if self.drawn > shown else ''}{shown} samples"
        match self.kind:
            case "right":
                return f"Every strategy is right; {counted} are."
            case "never sampled":
                none = "None of " + counted.partition(" of ")[2] if shown else "No sample"
                found = f", yet {self.right} of {len(self.choices)} strategies found it" if self.right else ""
                return f"{none} is right, so no choice among them could be{found}."
            case "not chosen":
                rivals = [each for each in self.answers if each.correct is False and each.samples]
                most = f"; most wrong ones ({rivals[0].samples}) say {rivals[0].answer[:60]!r}" if rivals else ""
                return f"{counted} are right{most}. Wrong: {', '.join(wrong)}."
        return ""


KINDS = {
    "never sampled": "No sample was right: better samples are needed, not better choices",
    "not chosen": "Right answers were sampled, and at least one strategy did not choose them",
    "right": "Every strategy was right",
    "no gold answer": "Nothing is known about right or wrong",
}
"""Kinds of problems, the most telling first."""


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
        _choose(detail, result, outcome)
        drawn = _drawn(result)
        failed = [ShownSample("", failed=failure.reason) for failure in result.failed]
        if len(drawn) + len(failed) > detail.drawn and len(detail.samples) < MOST_SAMPLES:
            detail.samples = [*await _shown(task, problem, drawn[:MOST_SAMPLES]), *failed][:MOST_SAMPLES]
            detail.drawn = len(drawn) + len(failed)


def _choose(detail: Detail, result: Result, outcome: Outcome) -> None:
    choice = detail.choices.get(outcome.strategy)
    if choice is None or (choice.budget != outcome.budget and outcome.usage.samples > choice.samples):
        choice = Choice(outcome.strategy, outcome.budget, outcome.usage.samples, outcome.answer)
        if result.selection is not None and result.selection.answer == outcome.answer:
            choice.answer_class, choice.votes = result.selection.answer_class, result.selection.votes
        detail.choices[outcome.strategy] = choice
    if outcome.credit is not None and choice.budget == outcome.budget:
        choice.credits.append(outcome.credit)


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
