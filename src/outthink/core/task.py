"""What a task must give: prompts, answers with equivalence classes, grades. Tasks themselves live in `outthink.tasks`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from outthink.core.problem import Problem
from outthink.core.prompt import Prompt


@dataclass(frozen=True, slots=True)
class Answer:
    """What was extracted from one sample.

    text:         as the model wrote it; None where nothing could be extracted: such an answer is *invalid*, never votes
                  and is never returned
    answer_class: the text that stands for its equivalence class: the class's first member in key order, or a canonical form
    """

    text: str | None
    answer_class: str | None = None

    @property
    def valid(self) -> bool:
        """Whether this answer may vote."""
        return self.answer_class is not None


INVALID = Answer(None)


@runtime_checkable
class Task(Protocol):
    """A family of problems.

    `answers` and `grade` may be slow or unsafe (symbolic equality, code), so they are awaited: the runtime limits their
    time and journals what they say. Both are pure functions of their arguments and never raise for odd model output.

    A task whose answers come in steps of its own says so in an attribute `steps` (`outthink.core.step.Steps`); without one a
    blank line ends a step.
    """

    name: str
    sampling: Mapping[str, Any]
    """Settings that this task's prompts need, such as {"stop": ("\\n",), "max_tokens": 64}; a user's own win."""

    def prompt(self, problem: Problem) -> Prompt:
        """The prompt that asks the problem. Raises BadInput for one that this task can't read, with the form that it wants: the
        prompt is asked for before anything is spent, also where something else is sent (a client's own conversation)."""
        ...

    async def answers(self, problem: Problem, texts: Sequence[str], known: Sequence[str]) -> list[Answer]:
        """One answer per text (same order). `known` are the answer classes met earlier in this run, in order: an answer
        equivalent to one of them gets that class."""
        ...

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[bool]:
        """Whether each answer is right by `problem.gold` (which is not None here); None is wrong."""
        ...
