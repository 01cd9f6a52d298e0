"""A client's conversation as a task: its messages are the prompt as they are, and its answers are told apart by what they are.

Tool calls are equal when they call the same functions with the same arguments, JSON when it holds the same values, and everything
else by the task that was chosen. Without one, by the final answer that a text states (a last box, or what follows `Answer:` or
`#### `), else by the whole text, both but for case, spacing and quotes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from outthink.core import calls
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.task import INVALID, Answer, Task
from outthink.gateway.body import strict
from outthink.parts.thinking import without_thinking
from outthink.tasks import SimpleTask
from outthink.tasks.extraction import after_phrase, last_boxed

CALLS, JSON = "tool calls: ", "json: "
"""What the names of these classes begin with; a text's class that began so would be another text's by name only."""


class Stated(SimpleTask):
    """The rule for texts where no task was chosen."""

    name = "conversation"

    def extract(self, problem: Problem, text: str) -> str | None:
        """The stated final answer, else the whole text; None where there is no text."""
        said = without_thinking(text)
        return last_boxed(said) or after_phrase(said) or said.strip() or None


class Conversation:
    """One request's task. Implements the `Task` protocol.

    prompt: the client's own
    task:   how texts are told apart; None: `Stated`
    tools:  samples may call tools
    must_call: only samples that call tools are answers
    is_json: only samples that are JSON are answers
    """

    sampling: Mapping[str, Any] = {}

    def __init__(
        self, prompt: Prompt, task: Task | None = None, *, tools: bool = False, must_call: bool = False, is_json: bool = False
    ) -> None:
        self._prompt, self._task = prompt, task if task is not None else Stated()
        self._tools, self._must_call, self._is_json = tools, must_call, is_json
        self.name = "conversation" if task is None else f"conversation({task.name})"
        for optional in ("steps", "value"):
            if (found := getattr(task, optional, None)) is not None:
                setattr(self, optional, found)

    @property
    def structured(self) -> bool:
        """Whether a text that isn't of the right form is no answer at all."""
        return self._must_call or self._is_json

    def prompt(self, problem: Problem) -> Prompt:
        """The conversation, whatever the problem is."""
        return self._prompt

    async def answers(self, problem: Problem, texts: Sequence[str], known: Sequence[str]) -> list[Answer]:
        """One answer per text; see the `Task` protocol."""
        found = [self._structure(text) for text in texts]
        plain = [at for at, answer in enumerate(found) if answer is None]
        others = [name for name in known if not name.startswith((CALLS, JSON))]
        if plain:
            told = await self._task.answers(problem, [texts[at] for at in plain], others)
            for at, answer in zip(plain, told, strict=True):
                found[at] = answer
        return [answer if answer is not None else INVALID for answer in found]

    def _structure(self, text: str) -> Answer | None:
        """The answer of a text that has a form; None for one that the task must read."""
        if self._tools and (called := calls.read(text)) is not None:
            arguments = [call.get("arguments") for call in called[1]]
            if not all(isinstance(each, (dict, str)) for each in arguments):
                return INVALID
            if any(isinstance(each, str) and each.lstrip().startswith("{") for each in arguments):
                return INVALID  # an object that isn't JSON can't be called with
            return Answer(text, CALLS + "; ".join(sorted(canonical(call) for call in called[1])))
        if self._must_call:
            return INVALID
        if self._is_json:
            try:
                value = strict(without_thinking(text))
            except (ValueError, RecursionError):
                return INVALID
            return Answer(text, JSON + canonical(value))
        return None if text.strip() else INVALID

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[bool]:
        """Whether each answer is right by `problem.gold`: JSON, tool calls (also as JSON) or a text. None is wrong.

        At the gateway there is none: golds come with whoever looks at its records later.
        """
        if problem.gold is None:
            raise BadInput("a conversation has no gold answer to grade by", where=f"problem {problem.id}")
        gold = self._structure(self._called(problem.gold))
        found = [None if answer is None else self._structure(answer) for answer in answers]
        if gold is not None and gold.valid:
            return [answer is not None and answer.answer_class == gold.answer_class for answer in found]
        if self.structured:
            wanted = "tool calls" if self._must_call else "JSON"
            raise BadInput(f"its gold answer is not {wanted}, and nothing else was asked for", where=f"problem {problem.id}")
        plain = [answer if structure is None else None for answer, structure in zip(answers, found, strict=True)]
        return await self._task.grade(problem, plain)

    def _called(self, gold: str) -> str:
        """A gold answer that is a call, or a list of calls, in JSON, as samples have them; any other as it is."""
        try:
            value = strict(gold) if self._tools else None
        except (ValueError, RecursionError):
            return gold
        listed = [call for call in (value if isinstance(value, list) else [value]) if isinstance(call, dict)]
        if not listed or not all("function" in call or "name" in call for call in listed):
            return gold
        return calls.written("", [call if "function" in call else {"function": call} for call in listed])


def canonical(value: Any) -> str:
    """JSON in one form: keys in order, no spaces, numbers by their value (1.0 is 1)."""
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
