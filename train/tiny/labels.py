"""Labelled steps for the verifiers: the policy's own rollouts, and walks of known worth. Nothing here knows optimisers.

An `Example` is a problem with a written answer, and a label in [0, 1] for every newline of the answer: the chance that what
stands before it ends well. Exact labels come from the solver; Monte-Carlo labels are the share of the policy's
continuations that the checker accepts (Wang et al. 2023, Math-Shepherd, arXiv:2312.08935, with soft labels).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch

from outthink.tasks.countdown import text_of
from outthink.tasks.countdown_solver import LARGEST, Numbers, line_of, moves, reachable, replay
from train.tiny.data import solution, training_problem
from train.tiny.model import Model
from train.tiny.rollout import sampled
from train.tiny.vocabulary import BEGIN, decode, encode

LIMIT = 40
"""Most tokens of a rollout; an answer takes about 28."""
BATCH = 384
UNLABELLED = -1.0
ROLLOUTS = 8
"""Samples of each problem whose shares are the Monte-Carlo labels."""


@dataclass(frozen=True)
class Example:
    """The lines of an answer and their labels."""

    numbers: Numbers
    target: int
    lines: tuple[str, ...]
    labels: tuple[float, ...]

    def text(self, lines: int | None = None) -> str:
        """Prompt and answer, as far as the given number of lines."""
        return "\n".join((text_of(self.numbers, self.target), *self.lines[:lines])) + "\n"


def exact(numbers: Numbers, target: int, lines: Iterable[str]) -> Example:
    """An example with the solver's labels."""
    lines = tuple(lines)
    labels = [0.0] * len(lines)
    for place in range(len(lines)):
        left = replay(numbers, lines[: place + 1])
        if left is None:
            break
        labels[place] = float(target in reachable(left))
    return Example(numbers, target, lines, tuple(labels))


def rollouts(model: Model, seed: int, minutes: float = math.inf, *, monte_carlo: bool, most: float = math.inf) -> list[Example]:
    """Samples of the policy at temperature 1, with exact or Monte-Carlo labels, as many as the time allows, or the first `most`
    and what came with them."""
    chance, draws = random.Random(seed), torch.Generator().manual_seed(seed)
    tries, found = ROLLOUTS if monte_carlo else 1, list[Example]()
    until = time.monotonic() + minutes * 60
    while len(found) < most and time.monotonic() < until:
        problems = [training_problem(chance) for _ in range(BATCH // tries)]
        prompts = [[BEGIN, *encode(f"{text_of(*problem)}\n")] for problem in problems for _ in range(tries)]
        answers = sampled(model, prompts, LIMIT, chance=draws)
        lines = [tuple(decode(answer).split("\n")[:-1]) for answer in answers]  # a line that was not ended is left out
        for place, problem in enumerate(problems):
            some = lines[place * tries : (place + 1) * tries]
            found += estimated(*problem, some) if monte_carlo else [exact(*problem, answer) for answer in some]
    return found


def estimated(numbers: Numbers, target: int, answers: list[tuple[str, ...]]) -> list[Example]:
    """Answers to one problem with Monte-Carlo labels: of all answers that begin with the same lines, the share that is right."""
    outcomes: dict[tuple[str, ...], list[float]] = {}
    for lines in answers:
        right = float(replay(numbers, lines) == (target,))
        for place in range(len(lines)):
            outcomes.setdefault(lines[: place + 1], []).append(right)
    share = {beginning: sum(found) / len(found) for beginning, found in outcomes.items()}
    return [Example(numbers, target, lines, tuple(share[lines[: place + 1]] for place in range(len(lines)))) for lines in answers]


def walks(chance: random.Random, *, monte_carlo: bool) -> Iterator[Example]:
    """Endless written answers: right ones, random legal ones, and ones with a fault put in.

    monte_carlo: label only what needs no solver: steps from a fault on, and finished answers
    """
    while True:
        numbers, target = training_problem(chance)
        lines = solution(chance, numbers, target) if chance.random() < 0.7 else wandered(chance, numbers)
        if chance.random() < 0.6:
            lines = spoilt(chance, numbers, target, lines)
        example = exact(numbers, target, lines)
        yield certain(example) if monte_carlo else example


def certain(example: Example) -> Example:
    """The same example without labels where an answer is legal so far and not finished."""

    def label(place: int) -> float:
        left = replay(example.numbers, example.lines[: place + 1])
        return UNLABELLED if left is not None and len(left) > 1 else example.labels[place]

    return replace(example, labels=tuple(label(place) for place in range(len(example.lines))))


def wandered(chance: random.Random, numbers: Numbers) -> list[str]:
    """Lines of random legal moves, as far as there are any."""
    lines = []
    while len(numbers) > 1 and (legal := moves(numbers)):
        *move, numbers = chance.choice(legal)
        lines.append(line_of(*move, numbers))
    return lines


def spoilt(chance: random.Random, numbers: Numbers, target: int, lines: list[str]) -> list[str]:
    """The same lines with one fault, and random moves from what the faulty line says is left."""
    at = chance.randrange(len(lines))
    before = replay(numbers, lines[:at])
    assert before is not None
    a, operator, b, value, after = chance.choice([move for move in moves(before) if line_of(*move) == lines[at]])
    rest = list(after)
    if len(rest) == 1 or chance.random() < 0.75:  # false arithmetic, which is most tempting where it makes the target
        rest.remove(value)
        value = other(chance, value, target)
        rest.append(value)
    else:  # a number changes on the way
        place = chance.randrange(len(rest))
        rest[place] = other(chance, rest[place], b)
    after = tuple(sorted(rest))
    return [*lines[:at], line_of(a, operator, b, value, after), *wandered(chance, after)]


def other(chance: random.Random, value: int, tempting: int) -> int:
    """Another number: the tempting one, or one that is near, or any."""
    near = [x for x in (*range(value - 3, value + 4), value - 10, value + 10) if 1 <= x <= LARGEST]
    picked = chance.choice([tempting, chance.choice(near), chance.randint(1, LARGEST)])
    return picked if picked != value else value % LARGEST + 1
