"""One thing to be answered. Loading problems from files lives in `outthink.problems`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from outthink.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with an optional gold answer.

    text:    what is asked
    id:      unique within a run; derived from the text when empty
    gold:    the right answer, or None where it isn't known. Strategies never see it.
    options: the choices of a multiple-choice problem, in order
    meta:    anything else a task wants to know (JSON values)
    """

    text: str
    id: str = ""
    gold: str | None = None
    options: tuple[str, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise BadInput("a problem needs a text that is not empty", where=f"problem {self.id!r}" if self.id else "problem")
        if not self.id:
            object.__setattr__(self, "id", hashlib.blake2b(self.text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest())

    @classmethod
    def of(cls, problem: Problem | str) -> Problem:
        """A problem from a problem or its text."""
        return problem if isinstance(problem, Problem) else cls(problem)

    def without_gold(self) -> Problem:
        """The same problem as a strategy may see it."""
        return self if self.gold is None else replace(self, gold=None)
