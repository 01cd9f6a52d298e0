"""Mathematics: the final answer of a solution, and whether two answers mean the same.

Plain numbers and equal texts are settled here, at tens of thousands a second. Everything symbolic is settled by the
library `math-verify` in a child process with a limit of processor time per comparison: a comparison that passes it
counts as *not equal*, and so does everything later about the text that caused it, other than itself.

Equality is that of a grader: 1/2 = 0.5 = \\frac12 = 50%, units and `x =` are dropped, sets are unordered, 0.333333 = 1/3
(six digits or more). It is symmetric among answers; against a gold answer, the gold's form decides where forms conflict.
It is not transitive; see `outthink.tasks.classes`.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from importlib.util import find_spec
from typing import Any

from outthink.core.errors import BadInput, MissingExtra
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.step import Steps
from outthink.core.task import INVALID, Answer
from outthink.tasks.classes import Classes
from outthink.tasks.extraction import TAIL, after_phrase, last_boxed, stated_quantity
from outthink.tasks.numbers import quantity, tidy
from outthink.tasks.worker import WorkerDied, Workers

LONGEST_ANSWER = 500
"""Characters of the longest answer that is compared symbolically; longer ones equal only themselves."""
REMEMBERED = 65_536
"""Comparisons and extractions kept in memory."""

_INSTRUCTION = "\n\nReason step by step, and put your final answer within \\boxed{}."
_TEXT = re.compile(r"[^\W\d_]{2,}(?:[ '-]+[^\W\d_]+)*")


class _NeedsWorker(Exception):
    """The fast path can't say; do it again where waiting is allowed."""


class MathTask:
    """The `math` task.

    seconds: processor time of one comparison or extraction
    """

    name = "math"
    sampling: Mapping[str, Any] = {}
    steps = Steps(complete=lambda problem, text: last_boxed(text) is not None)

    def __init__(self, *, seconds: float = 2.0) -> None:
        if not seconds > 0:
            raise BadInput(f"the time limit of a comparison is {seconds} and must be above 0 seconds", where="task math")
        self._workers = Workers("outthink.tasks.math_worker", seconds=seconds)
        self._memory: OrderedDict[bytes, Any] = OrderedDict()
        self._hopeless: OrderedDict[str, None] = OrderedDict()  # texts that passed a limit by themselves
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the child processes; they start again when needed. Dropping the task does the same."""
        self._workers.close()

    def prompt(self, problem: Problem) -> Prompt:
        """A chat that asks for steps and one boxed answer."""
        return Prompt.chat(problem.text + _INSTRUCTION)

    async def answers(self, problem: Problem, texts: Sequence[str], known: Sequence[str]) -> list[Answer]:
        """One answer per text; see the `Task` protocol."""
        try:
            return self._answers(texts, known, waiting=False)
        except _NeedsWorker:
            _require()
            return await self._workers.run(lambda: self._answers(texts, known, waiting=True))

    async def grade(self, problem: Problem, answers: Sequence[str | None]) -> list[bool]:
        """Whether each answer is right; None is wrong."""
        if problem.gold is None:
            raise BadInput("it has no gold answer to grade by", where=f"problem {problem.id}")
        gold = last_boxed(problem.gold) or problem.gold

        def graded(waiting: bool) -> list[bool]:
            return [answer is not None and self._equal(gold, answer, waiting=waiting) for answer in answers]

        try:
            return graded(waiting=False)
        except _NeedsWorker:
            _require()
            return await self._workers.run(lambda: graded(waiting=True))

    def _answers(self, texts: Sequence[str], known: Sequence[str], *, waiting: bool) -> list[Answer]:
        def same(one: str, other: str) -> bool:
            return self._equal(*sorted((one, other)), rule="same", waiting=waiting)

        classes = Classes(known, key=_key, equal=same)
        found = (self._extract(text, waiting=waiting) for text in texts)
        return [INVALID if answer is None else Answer(answer, classes.of(answer)) for answer in found]

    def _extract(self, text: str, *, waiting: bool) -> str | None:
        """The last box; else a number after `answer is`; else whatever math-verify finds after such a phrase. A text that
        states no answer (most often one that was cut off) has none: its last number is not a vote."""
        found = last_boxed(text) or stated_quantity(text)
        if found is not None:
            return found
        if after_phrase(text) is None:
            return None
        reply = self._ask("extract", text[-TAIL:], waiting=waiting)
        return str(reply) if reply else None

    def _equal(self, gold: str, answer: str, *, rule: str = "equal", waiting: bool) -> bool:
        if tidy(gold) == tidy(answer):
            return True
        number, other = quantity(gold), quantity(answer)
        if number is not None and other is not None:
            return number.equals(other)
        words = [_words(text) for text in (gold, answer)]  # algebra would read them as products of letters
        if None not in words or (any(words) and (number or other)):
            return words[0] == words[1]
        pair = _plain(gold), _plain(answer)
        if max(map(len, pair)) > LONGEST_ANSWER or self._hopeless.keys() & set(pair):
            return False
        return self._ask(rule, *pair, waiting=waiting) is True

    def _ask(self, *request: str, waiting: bool) -> Any:
        asked = blake2b("\0".join(request).encode(errors="replace"), digest_size=16).digest()
        with self._lock:
            if asked in self._memory:
                self._memory.move_to_end(asked)
                return self._memory[asked]
        if not waiting:
            raise _NeedsWorker
        try:
            reply = self._workers.ask(*request)
        except WorkerDied:
            reply = None
            if request[0] != "extract":
                self._blame(request[1:])
        with self._lock:
            self._memory[asked] = reply
            if len(self._memory) > REMEMBERED:
                self._memory.popitem(last=False)
        return reply

    def _blame(self, pair: Sequence[str]) -> None:
        """Find out which of a fatal pair is fatal by itself, so that it never costs a limit again."""
        suspects = [text for text in pair if quantity(text) is None]
        for text in suspects:
            try:
                if len(suspects) > 1:
                    self._workers.ask("equal", text, "7")
                    continue
            except WorkerDied:
                pass
            self._hopeless[text] = None
            if len(self._hopeless) > REMEMBERED:
                self._hopeless.popitem(last=False)


def _key(answer: str) -> str | None:
    """Canonical form of exact numbers and plain words; the rest has none."""
    number = quantity(answer)
    if number is not None:
        return number.key
    return _words(answer)


def _words(answer: str) -> str | None:
    text = tidy(answer)
    return text.casefold() if _TEXT.fullmatch(text) else None


def _plain(answer: str) -> str:
    """The answer as math-verify is given it: exact numbers in canonical form, which it reads better than mixed fractions."""
    number = quantity(answer)
    return number.key if number is not None and number.key is not None else tidy(answer)


def _require() -> None:
    if find_spec("math_verify") is None:
        raise MissingExtra("comparing answers that are not plain numbers", "math")
