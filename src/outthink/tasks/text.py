"""Free-form text: the answer is the whole text, and texts are equivalent when they are equal but for spacing.

For open questions, where nothing can be extracted. Votes seldom agree here: choose by a score instead.
"""

from __future__ import annotations

from outthink.core.problem import Problem
from outthink.tasks.custom import SimpleTask


class TextTask(SimpleTask):
    """The `text` task."""

    name = "text"

    def key(self, problem: Problem, answer: str) -> str:
        """The text with single spaces."""
        return " ".join(answer.split())
