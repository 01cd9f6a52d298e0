"""The base of tasks whose rules are quick and safe: override `extract` and what differs, and it is a task.

    class Yes(SimpleTask):
        name = "yes-or-no"
        template = "{problem}\\nAnswer yes or no."

        def extract(self, problem, text):
            words = re.findall("yes|no", text.lower())
            return words[-1] if words else None

Every rule is a plain function of its arguments that must cope with any text; one that raises is reported as `BadInput` by
name, because an answer lost without a word would be worse. Slow or unsafe rules (symbolic equality, code) override the two
awaited methods of the `Task` protocol instead, as `outthink.tasks.math` does.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from outthink.core.errors import BadInput, OutthinkError
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.step import Steps
from outthink.core.task import INVALID, Answer
from outthink.tasks.classes import Classes

T = TypeVar("T")


def normalised(text: str) -> str:
    """The text in one Unicode form, lower case, with single spaces, without quotes and a full stop around it."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"\s+", " ", text).strip().strip("\"'`*“”‘’").rstrip(".").strip()


class SimpleTask:
    """A task from a few plain functions. Implements the `Task` protocol.

    name:     what users call it
    template: the prompt; `{problem}` stands for the problem's text
    system:   system turn before it, or empty
    sampling: settings that its prompts need
    steps:    where the steps of its answers end
    """

    name: str = "custom"
    template: ClassVar[str] = "{problem}"
    system: ClassVar[str] = ""
    sampling: Mapping[str, Any] = {}
    steps: Steps = Steps()

    # what a task may override

    def prompt(self, problem: Problem) -> Prompt:
        """The prompt that asks the problem."""
        return Prompt.chat(self.template.replace("{problem}", problem.text), system=self.system)

    def extract(self, problem: Problem, text: str) -> str | None:
        """The answer that a text states, or None. The whole text by default."""
        return text.strip() or None

    def key(self, problem: Problem, answer: str) -> str:
        """The canonical form of an answer: equal forms are equivalent answers."""
        return normalised(answer)

    def equal(self, problem: Problem, one: str, other: str) -> bool:
        """Whether two answers are equivalent, where equal keys can't say. Override it only then: it need not be
        transitive, so an answer joins the first class whose first member it equals."""
        return self.key(problem, one) == self.key(problem, other)

    def right(self, problem: Problem, answer: str) -> bool:
        """Whether an answer is right by `problem.gold`."""
        assert problem.gold is not None
        return self.equal(problem, problem.gold, answer)

    # the protocol

    async def answers(self, problem: Problem, texts: Sequence[str], known: Sequence[str]) -> list[Answer]:
        """One answer per text; see the `Task` protocol."""
        pairwise = type(self).equal is not SimpleTask.equal
        classes = Classes(
            known,
            key=lambda answer: self._ask("key", self.key, problem, answer),
            equal=(lambda one, other: self._ask("equal", self.equal, problem, one, other)) if pairwise else None,
        )
        found = []
        for text in texts:
            answer = self._ask("extract", self.extract, problem, text)
            found.append(INVALID if answer is None else Answer(answer, classes.of(answer)))
        return found

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[bool]:
        """Whether each answer is right; None is wrong."""
        if problem.gold is None:
            raise BadInput("it has no gold answer to grade by", where=f"problem {problem.id}")
        return [answer is not None and bool(self._ask("right", self.right, problem, answer)) for answer in answers]

    def _ask(self, rule: str, function: Callable[..., T], *arguments: Any) -> T:
        try:
            return function(*arguments)
        except OutthinkError:
            raise
        except Exception as error:
            problem: Problem = arguments[0]
            raise BadInput(
                f"{rule} raised {type(error).__name__}: {error}; it must cope with any text",
                where=f"task {self.name}, problem {problem.id}",
            ) from error
