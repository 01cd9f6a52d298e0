"""Documents made on the fly, and rows packed from them. Nothing here knows models.

A document is a prompt, which is not learned, and a continuation, which is. Held-out problems are never among them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from outthink.tasks import calc, countdown
from outthink.tasks.countdown_solver import Numbers, line_of, moves, reachable
from train.tiny.vocabulary import BEGIN, END, encode

ROW = 256
LONGEST_TRACE = 232
WIDTH = 4
"""Children that the demonstrator tries of each state."""
NOISE = 4.0
IGNORED = -100


@dataclass(frozen=True)
class Document:
    """Token ids, and how many of them are the prompt (with the begin token)."""

    ids: list[int]
    prompt: int

    @classmethod
    def of(cls, prompt: str, text: str) -> Document:
        head = [BEGIN, *encode(prompt)]
        return cls([*head, *encode(text), END], len(head))


def training_problem(chance: random.Random, sizes: tuple[int, ...] = (4, 4, 4, 4, 3)) -> tuple[Numbers, int]:
    """A Countdown problem that is not held out."""
    while True:
        numbers, target = countdown.drawn(chance, chance.choice(sizes))
        if not countdown.is_held_out(numbers, target):
            return numbers, target


def make(chance: random.Random) -> Document:
    """A problem and a direct solution: any one of those that a random walk may take."""
    numbers, target = training_problem(chance)
    return Document.of(
        f"{countdown.text_of(numbers, target)}\n", "".join(f"{line}\n" for line in solution(chance, numbers, target))
    )


def solution(chance: random.Random, numbers: Numbers, target: int) -> list[str]:
    """Lines of a random solution: each step is any legal one after which the target can still be reached."""
    lines = []
    while len(numbers) > 1:
        *move, after = chance.choice([move for move in moves(numbers) if target in reachable(move[-1])])
        lines.append(line_of(*move, after))
        numbers = after
    return lines


def search(chance: random.Random) -> Document:
    """A problem and a demonstrated search that solves it."""
    while True:
        numbers, target = training_problem(chance)
        text = demonstration(chance, numbers, target)
        if text is not None:
            document = Document.of(f"{countdown.text_of(numbers, target).replace('make', 'search', 1)}\n", text)
            if len(document.ids) <= LONGEST_TRACE:
                return document


def demonstration(chance: random.Random, numbers: Numbers, target: int) -> str | None:
    """A depth-first search that tries what comes nearest to the target first; None where it fails.

    Of each state with three numbers or more, WIDTH children are tried: those whose numbers' sum is nearest to the target, with
    noise, so that one problem has many traces. Two numbers are settled at a glance: either a line reaches the target, or the
    search goes on with the next child. A state without children left is left by `back` and its parent's numbers. The last
    line repeats the equations that led to the target.
    """
    lines: list[str] = []
    path = explored(chance, numbers, target, lines)
    if path is None:
        return None
    return "".join(f"{line}\n" for line in [*lines, f"answer {' '.join(path)}"])


def explored(chance: random.Random, numbers: Numbers, target: int, lines: list[str]) -> list[str] | None:
    """The equations that reach the target from here, or None; what was tried is added to `lines`."""
    if len(numbers) == 2:
        for *move, after in moves(numbers):
            if after == (target,):
                lines.append(line_of(*move, after))
                return [lines[-1]]
        return None
    ranked = sorted(moves(numbers), key=lambda move: abs(sum(move[-1]) - target) + chance.expovariate(1 / NOISE))
    for *move, after in ranked[:WIDTH]:
        line = line_of(*move, after)
        lines.append(line)
        found = explored(chance, after, target, lines)
        if found is not None:
            return [line.partition(",")[0], *found]
        if len(after) > 2:
            lines.append(f"back {' '.join(map(str, numbers))}")
    return None


def summed(chance: random.Random) -> Document:
    """A problem of `calc` and its equations."""
    while True:
        text = calc.drawn(chance, chance.randint(2, 12))
        if not calc.is_held_out(text):
            return Document.of(f"{text}\n", "".join(f"{line}\n" for line in calc.steps_of(text)))


KINDS: Mapping[str, Callable[[random.Random], Document]] = {"make": make, "search": search, "calc": summed}


class Rows:
    """Endless rows of ROW + 1 ids and their labels, packed first-fit from whole documents.

    shares: the part of all tokens that each kind of document gets
    """

    def __init__(self, shares: Mapping[str, float], seed: int) -> None:
        self._shares, self._chance = dict(shares), random.Random(seed)
        self._given = dict.fromkeys(shares, 1.0)
        self._open: list[tuple[list[int], list[int]]] = []

    def _document(self) -> Document:
        kind = min(self._shares, key=lambda kind: self._given[kind] / self._shares[kind])
        document = KINDS[kind](self._chance)
        self._given[kind] += len(document.ids)
        return document

    def __iter__(self) -> Iterator[tuple[list[int], list[int]]]:
        while True:
            document = self._document()
            labels = [IGNORED] * document.prompt + document.ids[document.prompt :]
            room = next((row for row in self._open if len(row[0]) + len(document.ids) <= ROW + 1), None)
            if room is None:
                room = ([], [])
                self._open.append(room)
            room[0].extend(document.ids)
            room[1].extend(labels)
            if len(self._open) > 8:
                full = max(self._open, key=lambda row: len(row[0]))
                self._open.remove(full)
                missing = ROW + 1 - len(full[0])
                yield full[0] + [END] * missing, full[1] + [IGNORED] * missing
