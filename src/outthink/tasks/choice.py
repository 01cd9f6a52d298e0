"""Multiple choice: options get letters in their order, the answer is a letter.

The options are the problem's own, or those that its text lists, a line each: `A) four`. A gold answer may be the letter or the
text of the right option.
"""

from __future__ import annotations

import re
from string import ascii_uppercase

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.tasks.custom import SimpleTask, normalised
from outthink.tasks.extraction import TAIL, after_phrase, last_boxed

# A letter by itself: `(B)`, `B)`, `**B**`, `B.`, `\text{B}`; an article ("A good reason") or a name's initial is none.
_LETTER = r"(?:\\text(?:bf)?\{)?[\s(*\[\"'`]*([A-Z])(?![\w'’])[\s)*\]\"'`.:,}]*"
_ALONE = re.compile(rf"^{_LETTER}$", re.MULTILINE)
_FIRST = re.compile(r"(?:option|choice)?\s*(?:\\text(?:bf)?\{)?[\s(*\[]*([A-Z])(?=[)\]*.:,}]|\s*$|\s+(?:because|since|as)\b)")
_LISTED = re.compile(r"^[ \t]*\(?([A-Z])[).:][ \t]+(\S.*)$", re.MULTILINE)


def options_of(problem: Problem) -> tuple[str, ...]:
    """A problem's options: its own, or those that its text lists; of several lists the last."""
    if problem.options:
        return problem.options
    found: list[str] = []
    for letter, option in _LISTED.findall(problem.text):
        if letter == "A":
            found = []
        if letter == ascii_uppercase[len(found) : len(found) + 1]:
            found.append(option.strip())
    return tuple(found)


class ChoiceTask(SimpleTask):
    """The `choice` task; its problems have options."""

    name = "choice"

    def prompt(self, problem: Problem) -> Prompt:
        """The problem, its lettered options and the form of the answer."""
        letters = self._letters(problem)
        lines = [f"{letter}) {option}" for letter, option in zip(letters, problem.options, strict=False)]
        asked = "\n".join([problem.text, "", *lines, ""]) if lines else f"{problem.text}\n"
        return Prompt.chat(
            f"{asked}\nThink step by step, then end with `The answer is (X)`, where X is the letter of the right option."
        )

    def extract(self, problem: Problem, text: str) -> str | None:
        """The letter that the text settles on: in the last box, after the last `answer is`, or alone on its last line."""
        for stated in (last_boxed(text), after_phrase(text)):
            if stated is not None and (letter := self._letter_of(problem, stated)) is not None:
                return letter
        alone = [letter for letter in _ALONE.findall(text[-TAIL:]) if letter in self._letters(problem)]
        return alone[-1] if alone else None

    def key(self, problem: Problem, answer: str) -> str:
        """The letter, whether the letter or the option's text is given."""
        return self._letter_of(problem, answer) or normalised(answer)

    def right(self, problem: Problem, answer: str) -> bool:
        """Whether the answer is the gold letter."""
        assert problem.gold is not None
        gold = self._letter_of(problem, problem.gold)
        if gold is None:
            letters = self._letters(problem)
            raise BadInput(
                f"its gold answer {problem.gold[:80]!r} is neither a letter from A to {letters[-1]} nor one of its options",
                where=f"problem {problem.id}",
            )
        return self.key(problem, answer) == gold

    def _letters(self, problem: Problem) -> str:
        options = options_of(problem)
        if not 2 <= len(options) <= len(ascii_uppercase):
            raise BadInput(
                f"it has {len(options)} options, and the task choice needs 2 to {len(ascii_uppercase)}; "
                "give them as a list in the column `options`, or in its text, a line each: `A) four`",
                where=f"problem {problem.id}",
            )
        return ascii_uppercase[: len(options)]

    def _letter_of(self, problem: Problem, stated: str) -> str | None:
        letters = self._letters(problem)
        plain = normalised(stated)
        texts = [letter for letter, option in zip(letters, options_of(problem), strict=True) if normalised(option) == plain]
        if len(texts) == 1:
            return texts[0]
        found = _ALONE.fullmatch(stated.strip()) or _FIRST.match(stated.strip())
        if found is None and len(plain) == 1:
            found = re.fullmatch("(.)", plain.upper())
        return found.group(1) if found is not None and found.group(1) in letters else None
