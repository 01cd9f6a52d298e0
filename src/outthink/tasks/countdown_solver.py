"""The rules of Countdown, exact: legal moves, what can still be reached, and the replay of written steps.

A move replaces two numbers by their sum, difference, product or quotient. Results are whole numbers from 1 to LARGEST;
multiplying or dividing by 1 is no move. Every number is used once, so n numbers take n - 1 moves. Nothing here knows
prompts, models or samples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

LARGEST = 99
"""Numbers up to here are single tokens of the tiny models."""
OPERATORS = "+-*/"

_EQUATION = re.compile(r"([1-9]\d?)([-+*/])([1-9]\d?)=([1-9]\d?)", re.ASCII)
_STATE = re.compile(r"[1-9]\d?(?: [1-9]\d?)*", re.ASCII)

Numbers = tuple[int, ...]
"""The numbers that are left, sorted."""


def result(a: int, operator: str, b: int) -> int | None:
    """The result of a legal move, or None where it is none."""
    if operator == "+":
        value = a + b
    elif operator == "-":
        value = a - b
    elif operator == "*":
        value = a * b if a > 1 and b > 1 else 0
    else:
        value = a // b if operator == "/" and b > 1 and a % b == 0 else 0
    return value if 1 <= value <= LARGEST else None


def pairs(numbers: Numbers) -> Iterator[tuple[int, int, Numbers]]:
    """Each distinct pair (larger, smaller) of sorted numbers, with the numbers that stay."""
    seen = set()
    for j in range(1, len(numbers)):
        for i in range(j):
            pair = (numbers[j], numbers[i])
            if pair not in seen:
                seen.add(pair)
                yield *pair, numbers[:i] + numbers[i + 1 : j] + numbers[j + 1 :]


@lru_cache(200_000)
def moves(numbers: Numbers) -> tuple[tuple[int, str, int, int, Numbers], ...]:
    """Every legal move of sorted numbers, larger operand first: (a, operator, b, result, numbers after it)."""
    return tuple(
        (a, operator, b, value, tuple(sorted((*rest, value))))
        for a, b, rest in pairs(numbers)
        for operator in OPERATORS
        if (value := result(a, operator, b)) is not None
    )


@lru_cache(200_000)
def reachable(numbers: Numbers) -> frozenset[int]:
    """Every target that sorted numbers can make, each used once."""
    if len(numbers) == 1:
        return frozenset(numbers)
    return frozenset().union(*{reachable(after) for *_, after in moves(numbers)})


def line_of(a: int, operator: str, b: int, value: int, after: Numbers) -> str:
    """One written step: the equation, then the numbers that are left unless only one is."""
    state = "," + " ".join(map(str, after)) if len(after) > 1 else ""
    return f"{a}{operator}{b}={value}{state}"


def after_line(numbers: Numbers, line: str) -> Numbers | None:
    """The numbers left after a written step, or None where the step is not legal.

    A sum or product may be written either way round. The numbers that are left must be written in any order, except after
    the last step, where they may; a bare equation is legal only there.
    """
    equation, comma, state = line.partition(",")
    after = after_equation(numbers, equation)
    if after is None:
        return None
    if not comma:
        return after if len(after) == 1 else None
    if len(state) > 8 * len(after) or not _STATE.fullmatch(state):
        return None
    return after if tuple(sorted(map(int, state.split(" ")))) == after else None


def after_equation(numbers: Numbers, equation: str) -> Numbers | None:
    """The numbers left after an equation such as `25/5=5`, or None where it is false, illegal or uses other numbers."""
    found = _EQUATION.fullmatch(equation) if len(equation) < 16 else None
    if found is None:
        return None
    a, operator, b, claimed = int(found[1]), found[2], int(found[3]), int(found[4])
    if result(a, operator, b) != claimed:
        return None
    left = list(numbers)
    for operand in (a, b):
        if operand not in left:
            return None
        left.remove(operand)
    return tuple(sorted((*left, claimed)))


def replay(numbers: Sequence[int], lines: Sequence[str], *, bare: bool = False) -> Numbers | None:
    """The numbers left after written steps, or None where one is not legal. bare: equations without the numbers left."""
    left: Numbers | None = tuple(sorted(numbers))
    for line in lines:
        if left is None or len(left) < 2:
            return None
        left = after_equation(left, line) if bare else after_line(left, line)
    return left
