"""Countdown: make a target from numbers, each used once. Asked in the language of the tiny models; graded exactly.

    make 59 from 5 6 13 25
    25/5=5,5 6 13
    13*5=65,6 65
    65-6=59

A step is a line: an equation and the numbers that are left. `CountdownTask` asks for the steps alone;
`CountdownSearchTask` for a search that backtracks and ends in a line `answer 25/5=5 13*5=65 65-6=59`. Both grade by
replaying the answer: one that merely ends in the target is wrong. `value` is a perfect process verifier. The rules
are in `outthink.tasks.countdown_solver`; nothing here knows models.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.step import Steps
from outthink.tasks.countdown_solver import LARGEST, Numbers, moves, reachable, replay
from outthink.tasks.custom import SimpleTask

Split = Literal["training", "held_out"]

MOST_NUMBERS = 6
LARGEST_GIVEN, SMALLEST_TARGET = 25, 10
SHARDS = 16
"""One in so many problems is held out."""
MOST = 20_000
_PROBLEM = re.compile(r"make (\d\d?) from (\d\d?(?: \d\d?)*)", re.ASCII)
_STEP = re.compile(r"\d{1,2}[-+*/]\d{1,2}=\d{1,2}(?:,\d{1,2}(?: \d{1,2})*)?", re.ASCII)


def is_held_out(numbers: Numbers, target: int) -> bool:
    """Whether a problem is one that no tiny model was trained on: decided by a hash of the problem itself."""
    digest = hashlib.blake2b(f"{target} {numbers}".encode(), digest_size=2).digest()
    return int.from_bytes(digest, "big") % SHARDS == 0


def drawn(chance: random.Random, count: int = 4) -> tuple[Numbers, int]:
    """Sorted numbers 1..25 and a target 10..99 that a random walk of legal moves makes from them."""
    while True:
        numbers = left = tuple(sorted(chance.randint(1, LARGEST_GIVEN) for _ in range(count)))
        while len(left) > 1 and (legal := moves(left)):
            left = chance.choice(legal)[-1]
        if len(left) == 1 and left[0] >= SMALLEST_TARGET:
            return numbers, left[0]


def problems(count: int, seed: int = 0, split: Split = "held_out", *, numbers: int = 4) -> list[Problem]:
    """`count` distinct solvable problems, the same for the same seed; a larger count continues a smaller one.

    numbers: how many each problem gives. Raises BadInput for what is out of range.
    """
    if not 1 <= count <= MOST:
        raise BadInput(f"{count} Countdown problems were asked for; there can be 1 to {MOST}", where="problems")
    if not 3 <= numbers <= MOST_NUMBERS:
        raise BadInput(f"is {numbers} and must be 3 to {MOST_NUMBERS}", where="numbers")
    if split not in ("training", "held_out"):
        raise BadInput(f"is {split!r} and must be 'training' or 'held_out'", where="split")
    chance = random.Random(f"countdown {seed} {numbers}")
    made: dict[tuple[Numbers, int], Problem] = {}
    while len(made) < count:
        given, target = found = drawn(chance, numbers)
        if found not in made and is_held_out(given, target) == (split == "held_out"):
            name = f"countdown-{split}-{seed}-{len(made):04d}"
            made[found] = Problem(text_of(given, target), id=name, gold=str(target))
    return list(made.values())


def text_of(numbers: Numbers, target: int) -> str:
    """The text of a problem."""
    return f"make {target} from {' '.join(map(str, numbers))}"


def read(problem: Problem) -> tuple[Numbers, int]:
    """A problem's sorted numbers and its target. Raises BadInput where its text is no Countdown problem."""
    found = _PROBLEM.fullmatch(problem.text.strip())
    numbers = tuple(sorted(map(int, found[2].split(" ")))) if found else ()
    if found is None or not 2 <= len(numbers) <= MOST_NUMBERS or 0 in (*numbers, int(found[1])):
        raise BadInput(
            f"is no Countdown problem: write `make 59 from 5 6 13 25`, with 2 to {MOST_NUMBERS} numbers of 1 to {LARGEST}",
            where=f"problem {problem.id}",
        )
    return numbers, int(found[1])


def value(problem: Problem, text: str) -> float:
    """1 where complete steps (lines) can still be continued to the target, or have made it; else 0. Raises BadInput."""
    numbers, target = read(problem)
    left = replay(numbers, text.removesuffix("\n").split("\n") if text else [])
    return float(left is not None and target in reachable(left))


def complete(problem: Problem, text: str) -> bool:
    """Whether a text holds as many complete steps as the problem takes. Raises BadInput."""
    return text.count("\n") >= len(read(problem)[0]) - 1


def answered(problem: Problem, text: str) -> bool:
    """Whether the last complete line of a search is its answer."""
    return text.removesuffix("\n").rpartition("\n")[2].startswith("answer ")


class CountdownTask(SimpleTask):
    """The `countdown` task. An answer is a whole derivation, whatever it claims; another derivation is another answer."""

    name = "countdown"
    sampling: Mapping[str, Any] = MappingProxyType({"max_tokens": 64, "temperature": 1.0})
    steps = Steps(boundary="\n", most=2 * MOST_NUMBERS, complete=complete)

    def prompt(self, problem: Problem) -> Prompt:
        """The problem itself as raw text, one line."""
        read(problem)
        return Prompt.raw(f"{problem.text.strip()}\n")

    def value(self, problem: Problem, text: str) -> float:
        """1 where complete steps can still be continued to the target, or have made it; else 0."""
        return value(problem, text)

    def extract(self, problem: Problem, text: str) -> str | None:
        """The lines, where there are as many as the problem takes and each has the form of a step; true or not."""
        lines = text.strip().split("\n", MOST_NUMBERS)
        whole = len(lines) == len(read(problem)[0]) - 1 and all(_STEP.fullmatch(line) for line in lines)
        return "\n".join(lines) if whole else None

    def key(self, problem: Problem, answer: str) -> str:
        """The derivation as it is written."""
        return answer

    def right(self, problem: Problem, answer: str) -> bool:
        """Whether its replay is legal and ends in the target; the problem says all that is needed."""
        numbers, target = read(problem)
        return replay(numbers, answer.split("\n")) == (target,)


class CountdownSearchTask(CountdownTask):
    """The `countdown_search` task: the same problems, solved by a written search with backtracking."""

    name = "countdown_search"
    sampling: Mapping[str, Any] = MappingProxyType({"max_tokens": 512, "temperature": 1.0})
    steps = Steps(boundary="\n", most=200, complete=answered)

    def prompt(self, problem: Problem) -> Prompt:
        """The problem with the word `search`."""
        read(problem)
        return Prompt.raw(f"search {problem.text.strip().removeprefix('make ')}\n")

    def value(self, problem: Problem, text: str) -> float:
        """1 until the answer is there, because every dead end can be left; then whether it is right."""
        if not answered(problem, text):
            return 1.0
        answer = self.extract(problem, text)
        return float(answer is not None and self.right(problem, answer))

    def extract(self, problem: Problem, text: str) -> str | None:
        """The equations of the last line, if it is the answer."""
        word, _, answer = text.strip().rpartition("\n")[2].partition(" ")
        equations = answer.split(" ", MOST_NUMBERS)
        whole = word == "answer" and len(equations) == len(read(problem)[0]) - 1
        return answer if whole and all("," not in line and _STEP.fullmatch(line) for line in equations) else None

    def right(self, problem: Problem, answer: str) -> bool:
        """Whether the replay of its equations is legal and ends in the target."""
        numbers, target = read(problem)
        return replay(numbers, answer.split(" "), bare=True) == (target,)
