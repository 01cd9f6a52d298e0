"""One-step arithmetic word problems for small models, and the task that asks them: short few-shot completions.

What the demo runs on. The problems are made here, from a seed, so that they are nobody's and in no training set. Operands,
wordings and shots are chosen so that a model of 135M parameters is right a little less than half the time: hard enough
that more samples help, easy enough that they can. (Such a model takes the operation from the wording and from the size of
the numbers, which is why the shots differ in both.) Nothing here knows models or backends.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.tasks.custom import SimpleTask
from outthink.tasks.extraction import last_number
from outthink.tasks.numbers import quantity

SMALLEST, LARGEST, LARGEST_SECOND = 3, 19, 9
"""Operands; larger second operands, and larger factors, are beyond such models."""
MOST = 20_000
"""Problems of one seed; there are many more distinct ones, but not of every kind."""

SHOTS = (
    ("There are 4 cups with 6 plums in each cup. How many plums are there in total?", "4 * 6 = 24 plums."),
    ("Omar had 9 coins and spent 4 of them. How many coins does Omar have left?", "9 - 4 = 5 coins."),
    ("There were 12 shells on the sand. Nora added 5 more. How many shells are there now?", "12 + 5 = 17 shells."),
)

_NAMES = (
    "Ada Ben Clara Dan Ella Finn Grace Hugo Iris Jack Kira Leo Maya Noah Olga Paul Rosa Sam Tina Victor Wendy Yusuf Zoe Amir"
).split()
_THINGS = (
    "apples books cards eggs flowers marbles oranges pencils shirts stamps stickers toys balls cookies bottles stones "
    "tickets ribbons lemons pears"
).split()
_HOLDERS = (
    ("box", "boxes"), ("bag", "bags"), ("basket", "baskets"), ("jar", "jars"), ("tray", "trays"), ("shelf", "shelves"),
)  # fmt: skip

_PLACES = "on the table, on the shelf, on the bench, on the floor, in the cart, in the box, in the bag, in the garden".split(", ")

_ADD = (
    "There were {a} {things} {place}. {name} added {b} more. How many {things} are there now?",
    "There were {a} {things} {place}. {name} put {b} more {things} there. How many {things} are there now?",
    "There were {a} {things} {place}. Then {name} added {b} more {things}. How many {things} are there in total?",
)
_SUBTRACT = (
    "{name} had {a} {things} and gave {b} of them away. How many {things} does {name} have left?",
    "{name} had {a} {things} and lost {b} of them. How many {things} does {name} have left?",
    "There were {a} {things} {place}. {name} took {b} of them. How many {things} are left?",
    "{name} had {a} {things} and sold {b} of them to {other}. How many {things} does {name} have left?",
)
_MULTIPLY = (
    "There are {a} {holders} with {b} {things} in each {holder}. How many {things} are there in total?",
    "{name} has {a} {holders} with {b} {things} in each {holder}. How many {things} are there in total?",
)


def problems(count: int, seed: int = 0) -> list[Problem]:
    """`count` distinct problems, the same for the same seed; a larger count continues a smaller one.

    Raises BadInput unless 1 <= count <= MOST.
    """
    if not 1 <= count <= MOST:
        raise BadInput(f"{count} arithmetic problems were asked for; there can be 1 to {MOST}", where="problems")
    chance = random.Random(seed)
    made: dict[str, Problem] = {}
    while len(made) < count:
        text, gold = _problem(chance)
        made.setdefault(text, Problem(text, id=f"arithmetic-{seed}-{len(made):04d}", gold=str(gold)))
    return list(made.values())


def _problem(chance: random.Random) -> tuple[str, int]:
    operation = chance.choice("+-*")
    b = chance.randint(SMALLEST, LARGEST_SECOND)
    lowest, highest = {"+": (SMALLEST, LARGEST), "-": (b + 1, b + 6), "*": (SMALLEST, LARGEST_SECOND)}[operation]
    a = chance.randint(lowest, highest)
    templates, gold = {"+": (_ADD, a + b), "-": (_SUBTRACT, a - b), "*": (_MULTIPLY, a * b)}[operation]
    name, other = chance.sample(_NAMES, 2)
    holder, holders = chance.choice(_HOLDERS)
    words = {"name": name, "other": other, "things": chance.choice(_THINGS), "holder": holder, "holders": holders}
    words["place"] = chance.choice(_PLACES)
    return chance.choice(templates).format(a=a, b=b, **words), gold


class ArithmeticTask(SimpleTask):
    """The `arithmetic` task: a raw completion after three shots, one line long; the answer is its last number."""

    name = "arithmetic"
    sampling: Mapping[str, Any] = MappingProxyType({"stop": ("\n", "Q:"), "max_tokens": 32, "temperature": 0.7})

    def prompt(self, problem: Problem) -> Prompt:
        """Three solved problems, then this one, in raw text."""
        shots = "".join(f"Q: {question}\nA: {answer}\n\n" for question, answer in SHOTS)
        return Prompt.raw(f"{shots}Q: {problem.text}\nA:")

    def extract(self, problem: Problem, text: str) -> str | None:
        """The last number of the first line."""
        return last_number(text.strip().partition("\n")[0])

    def key(self, problem: Problem, answer: str) -> str:
        """The number in canonical form."""
        number = quantity(answer)
        return str(number.value) if number is not None else answer

    def right(self, problem: Problem, answer: str) -> bool:
        """Whether it is the gold number."""
        assert problem.gold is not None
        gold, number = quantity(problem.gold), quantity(answer)
        return gold is not None and number is not None and Fraction(gold.value) == number.value
