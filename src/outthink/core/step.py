"""How an answer comes in steps: where a step ends, and when the whole answer has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.rule import rule_fields


@dataclass(frozen=True, slots=True)
class Steps:
    """The step rule of a task.

    boundary: string that ends a step and belongs to the answer's text; None: steps end by their tokens only
    tokens:   most tokens of a step; a step that reaches them is a step all the same. None: a step that reaches `max_tokens`
              ends the answer
    most:     most steps of an answer: the last one goes to the answer's end
    complete: whether a text is a finished answer although its model was stopped at a boundary; None: only the model says so

    Raises BadInput.
    """

    boundary: str | None = "\n\n"
    tokens: int | None = None
    most: int = 40
    complete: Callable[[Problem, str], bool] | None = None

    def __post_init__(self) -> None:
        if self.boundary == "" or (self.boundary is None and self.tokens is None):
            raise BadInput("give a boundary that is not empty, or a number of tokens, or both", where="steps")
        if self.most < 1 or (self.tokens is not None and self.tokens < 1):
            raise BadInput("steps, and tokens of a step, must be 1 or more", where="steps")

    def fields(self) -> object:
        """Plain JSON that tells rules apart: what fingerprints are made of."""
        rule = None if self.complete is None else rule_fields(self.complete)
        return [self.boundary, self.tokens, self.most, rule]

    def split(self, text: str) -> list[str]:
        """The beginnings of a text at which its steps end, each with its boundary; the last one is the whole text.

        Without a boundary the text is one step: where its tokens were cut can't be told from it.
        """
        if self.boundary is None:
            return [text]
        ends, at = [], 0
        while (found := text.find(self.boundary, at)) >= 0:
            at = found + len(self.boundary)
            ends.append(text[:at])
        return ends if ends and at == len(text) else [*ends, text]
