"""What a fake model knows: texts whose probability of being right is known exactly. No HTTP, no tokens."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple, Protocol

_CASE = re.compile(r"Case (\d+)\b")
_ENDED = re.compile(r"\\boxed\{\w+\}\.\s*\S")
_WRONG_SHARES = (0.5, 0.8, 0.95, 1.0)  # cumulated shares of the wrong answers among all wrong ones


class Drawn(NamedTuple):
    """One text of a world, and the mean probability of its tokens."""

    text: str
    confidence: float


class World(Protocol):
    """Answers for a fake model: a pure function.

    prompt: the whole prompt, a chat as its messages' texts joined by newlines
    prefix: an open assistant turn to be continued ("" for none); the text returned comes after it. None for a raw prompt,
            where the world has to see for itself whether the prompt ends in an unfinished answer
    draw:   63 bits that stand for chance; equal draws give equal texts
    """

    def __call__(self, prompt: str, prefix: str | None, draw: int) -> Drawn: ...


class _Facts(NamedTuple):
    success: float
    answers: tuple[str, ...]  # the gold answer, then the wrong ones
    head: str  # how every text begins


class HashWorld:
    """Each problem has a success probability between `low` and `high`, a gold answer and four wrong ones, all derived from
    its name and `seed`. Right texts are a little more confident than wrong ones.

    A problem is named by the last "Case N" of a prompt, so that any prompt around `problems()` asks for the same thing;
    a prompt without one is a problem by itself. A text has a few paragraphs, then the answer in a box.
    """

    def __init__(self, seed: int = 0, *, low: float = 0.02, high: float = 0.98) -> None:
        self._seed, self._low, self._high = seed, low, high
        self._facts = lru_cache(maxsize=20_000)(self._derive)

    def problems(self, count: int) -> list[tuple[str, str]]:
        """`count` problems as (text, gold answer)."""
        texts = [f"Case {index}: which number is hidden in this case?" for index in range(count)]
        return [(text, self.gold(text)) for text in texts]

    def success(self, problem: str) -> float:
        """The probability that a sample answers this problem rightly."""
        return self._facts(_name(problem)).success

    def gold(self, problem: str) -> str:
        """The right answer."""
        return self._facts(_name(problem)).answers[0]

    def __call__(self, prompt: str, prefix: str | None, draw: int) -> Drawn:
        facts = self._facts(_name(prompt))
        chance = (draw & 0xFFFFFFFF) / 2**32
        if chance < facts.success:
            answer, confidence = facts.answers[0], 0.85
        else:
            place = (chance - facts.success) / (1 - facts.success)
            answer = facts.answers[1 + sum(place >= share for share in _WRONG_SHARES)]
            confidence = 0.75
        checks = "".join(f"Check {draw >> shift & 0xFFFF:x}.\n\n" for shift in range(32, 40 + 8 * (draw >> 61), 8))
        text = f"{facts.head}{checks}The answer is \\boxed{{{answer}}}."
        if prefix is None:
            begun = prompt.rfind(facts.head[:24])
            prefix = prompt[begun:] if begun >= 0 else ""
            if _ENDED.search(prefix):  # an earlier answer, then other words
                prefix = ""
        return Drawn(_rest(text, prefix, f"{answer}}}."), confidence)

    def _derive(self, name: str) -> _Facts:
        chance = int.from_bytes(blake2b(f"{self._seed}/{name}".encode(), digest_size=8).digest(), "little")
        gold = 10 + chance % 90
        answers = tuple(str(gold + shift) for shift in (0, 100, 200, 300, 400))
        success = self._low + (self._high - self._low) * (chance >> 32) / 2**32
        label = name if len(name) <= 8 else f"{chance & 0xFFFFFF:x}"
        steps = "".join(f"Step {number}: take part {number} of it.\n\n" for number in range(1, 3 + (chance >> 8) % 3))
        return _Facts(success, answers, f"Let us work on it ({label}).\n\n{steps}")


def _name(prompt: str) -> str:
    found = _CASE.findall(prompt)
    return found[-1] if found else prompt


def _rest(text: str, prefix: str, ending: str) -> str:
    """What comes after `prefix` in a text like `text`: its rest, or its last sentence where the prefix went another way."""
    if text.startswith(prefix):
        return text[len(prefix) :]
    box = prefix.rfind("\\boxed{")
    if box < 0:
        last = text[text.rfind("The answer") :]
        shared = next((size for size in range(min(len(last), len(prefix)), 0, -1) if prefix.endswith(last[:size])), 0)
        return last[shared:]
    inside = prefix[box + len("\\boxed{") :]
    if "}" in inside:
        return "" if inside.rstrip().endswith(".") else "."
    return ending if not inside else "}."
