"""Short answers: a name, a word, a date, a code; equal when their normal forms are.

Numbers written differently are different here (`1,000`, `1000`): use the task `math` for them.
"""

from __future__ import annotations

import re

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.tasks.custom import SimpleTask
from outthink.tasks.extraction import after_phrase, last_boxed


class ExactTask(SimpleTask):
    """The `exact` task.

    pattern: regular expression whose last match is the answer (its first group, if it has one). Without one the answer is
             what follows the last `Answer:` (or stands in the last box), or the whole text where it is a single line
    """

    name = "exact"
    template = "{problem}\n\nEnd with a line of the form `Answer: ...` that holds the short final answer and nothing else."

    def __init__(self, pattern: str | None = None) -> None:
        try:
            self._pattern = re.compile(pattern) if pattern is not None else None
        except re.error as error:
            raise BadInput(f"{pattern!r} is not a regular expression: {error}", where="task exact") from None

    def extract(self, problem: Problem, text: str) -> str | None:
        """The answer that the text states, or None."""
        if self._pattern is not None:
            found = list(self._pattern.finditer(text))
            answer = found[-1].group(1 if self._pattern.groups else 0) if found else None
        else:
            answer = last_boxed(text) or after_phrase(text)
            if answer is None and "\n" not in text.strip():
                answer = text
        return (answer or "").strip() or None
