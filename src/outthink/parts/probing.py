"""Asking an unfinished sample for its answer, and telling when the answers have settled (arXiv:2412.20993)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from outthink.core.task import Answer

PROBE = "... Oh, I suddenly got the answer to the whole problem, **Final Answer**\n\n\\[ \\boxed{"
"""What the text so far is continued with."""
TOKENS = 20
"""Most tokens of a reply to a probe."""
HESITATIONS = ("wait", "hold", "but", "okay", "no", "hmm")
_WORD = re.compile(r"[a-z]+")


class Level(NamedTuple):
    """So many probes in a row must agree, one every so many tokens."""

    agree: int
    every: int


LEVELS: Mapping[str, Level] = {
    "mild": Level(8, 64),
    "low": Level(5, 64),
    "mid": Level(3, 64),
    "high": Level(2, 64),
    "crazy": Level(2, 32),
}


def hesitates(text: str, pieces: bool = False) -> bool:
    """Whether one of `HESITATIONS` is among its words; pieces: or within a word."""
    plain = text.lower()
    return any(word in plain for word in HESITATIONS) if pieces else not set(_WORD.findall(plain)).isdisjoint(HESITATIONS)


class Certainty:
    """The last answers of probes."""

    def __init__(self, agree: int, pieces: bool = False) -> None:
        self._pieces = pieces
        self._last: deque[str | None] = deque(maxlen=agree)

    def heard(self, answer: Answer, text: str) -> bool:
        """Note one more answer and the reply it came in; whether the last `agree` are valid, equal and without hesitation."""
        self._last.append(None if hesitates(text, self._pieces) else answer.answer_class)
        return len(self._last) == self._last.maxlen and None not in self._last and len(set(self._last)) == 1
