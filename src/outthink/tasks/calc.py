"""Long sums modulo 100, from left to right: one answer each, so that answers can vote. In the language of the tiny models.

    calc 37*4-18+25
    37*4=48
    48-18=30
    30+25=55

The answer is the number after the last equals sign. Nothing here knows models.
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
from outthink.tasks.custom import SimpleTask

MODULUS = 100
MOST_OPERATIONS = 40
MOST = 20_000
SHARDS = 16
"""One in so many problems is held out."""
_PROBLEM = re.compile(r"calc (\d{1,2})((?:[-+*]\d{1,2})+)", re.ASCII)
_STEP = re.compile(r"(\d{1,2})([-+*])(\d{1,2})=(\d{1,2})", re.ASCII)


def applied(a: int, operator: str, b: int) -> int:
    """One operation modulo 100; `operator` is +, - or *."""
    return (a + b if operator == "+" else a - b if operator == "-" else a * b) % MODULUS


def drawn(chance: random.Random, operations: int) -> str:
    """The text of a random problem."""
    rest = "".join(f"{chance.choice('+-*')}{chance.randrange(MODULUS)}" for _ in range(operations))
    return f"calc {chance.randrange(MODULUS)}{rest}"


def is_held_out(text: str) -> bool:
    """Whether a problem is one that no tiny model was trained on."""
    return hashlib.blake2b(text.encode(), digest_size=1).digest()[0] % SHARDS == 0


def steps_of(text: str) -> list[str]:
    """The right equations of a problem's text, in order. Raises BadInput where it is no such problem."""
    found = _PROBLEM.fullmatch(text)
    terms = re.findall(r"([-+*])(\d{1,2})", found[2]) if found else []
    if found is None or len(terms) > MOST_OPERATIONS:
        raise BadInput(f"is no problem of `calc`: write `calc 37*4-18`, with up to {MOST_OPERATIONS} operations", where=text[:80])
    value, lines = int(found[1]), []
    for operator, term in terms:
        after = applied(value, operator, int(term))
        lines.append(f"{value}{operator}{int(term)}={after}")
        value = after
    return lines


def problems(
    count: int, seed: int = 0, split: Literal["training", "held_out"] = "held_out", *, operations: int = 10
) -> list[Problem]:
    """`count` distinct problems, the same for the same seed. Raises BadInput for what is out of range."""
    if not 1 <= count <= MOST:
        raise BadInput(f"{count} problems were asked for; there can be 1 to {MOST}", where="problems")
    if not 2 <= operations <= MOST_OPERATIONS:
        raise BadInput(f"is {operations} and must be 2 to {MOST_OPERATIONS}", where="operations")
    chance = random.Random(f"calc {seed} {operations}")
    made: dict[str, Problem] = {}
    while len(made) < count:
        text = drawn(chance, operations)
        if text not in made and is_held_out(text) == (split == "held_out"):
            gold = steps_of(text)[-1].rpartition("=")[2]
            made[text] = Problem(text, id=f"calc-{split}-{seed}-{len(made):04d}", gold=gold)
    return list(made.values())


def complete(problem: Problem, text: str) -> bool:
    """Whether a text holds as many complete steps as the problem takes. Raises BadInput."""
    return text.count("\n") >= len(steps_of(problem.text.strip()))


class CalcTask(SimpleTask):
    """The `calc` task; an answer is a number of two digits at most."""

    name = "calc"
    sampling: Mapping[str, Any] = MappingProxyType({"max_tokens": 256, "temperature": 0.6})
    steps = Steps(boundary="\n", most=2 * MOST_OPERATIONS, complete=complete)

    def prompt(self, problem: Problem) -> Prompt:
        """The problem itself as raw text, one line."""
        steps_of(problem.text.strip())
        return Prompt.raw(f"{problem.text.strip()}\n")

    def value(self, problem: Problem, text: str) -> float:
        """1 where complete steps are the right ones so far, else 0."""
        return value(problem, text)

    def extract(self, problem: Problem, text: str) -> str | None:
        """The number after the last equals sign, where there are as many steps as the problem takes."""
        lines = text.strip().split("\n")
        last = _STEP.fullmatch(lines[-1])
        return str(int(last[4])) if last and len(lines) == len(steps_of(problem.text.strip())) else None

    def key(self, problem: Problem, answer: str) -> str:
        """The number."""
        return answer


def value(problem: Problem, text: str) -> float:
    """1 where complete steps (lines) are the right ones so far, else 0. Raises BadInput."""
    lines = text.removesuffix("\n").split("\n") if text else []
    right = steps_of(problem.text.strip())
    return float(lines == right[: len(lines)])
