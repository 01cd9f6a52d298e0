"""Labelled steps for the verifiers: the policy's own rollouts, and walks of known worth. Nothing here knows optimisers.

An `Example` is a problem with a written answer, and a label in [0, 1] for every newline of the answer: the chance that what stands
before it ends well. Exact labels come from the solver; Monte-Carlo labels are the share of completions by the policy that
the checker accepts (Wang et al. 2023, Math-Shepherd, arXiv:2312.08935, with soft labels).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
COMPLETIONS = 4
"""Completions of each unfinished beginning, besides the rollout that it was cut from."""


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


def rollouts(model: Model, seed: int, minutes: float, *, monte_carlo: bool) -> list[Example]:
    """Samples of the policy at temperature 1, with exact or Monte-Carlo labels, as many as the time allows."""
    chance, draws = random.Random(seed), torch.Generator().manual_seed(seed)
    found: list[Example] = []
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until:
        problems = [training_problem(chance) for _ in range(BATCH)]
        lines = written(model, [f"{text_of(*problem)}\n" for problem in problems], draws)
        examples = [exact(*problem, answer) for problem, answer in zip(problems, lines, strict=True)]
        found += estimated(model, examples, draws) if monte_carlo else examples
    return found


def written(model: Model, prompts: list[str], draws: torch.Generator) -> list[list[str]]:
    """The lines that the policy writes after each prompt; one that it did not end is left out."""
    answers = sampled(model, [[BEGIN, *encode(prompt)] for prompt in prompts], LIMIT, chance=draws)
    return [decode(answer).split("\n")[:-1] for answer in answers]


def estimated(model: Model, examples: list[Example], draws: torch.Generator) -> list[Example]:
    """The same examples with Monte-Carlo labels; a finished answer has the checker's verdict."""
    cut = [(example, place) for example in examples for place in range(1, len(example.numbers) - 1) if place < len(example.lines)]
    share = {}
    for start in range(0, len(cut), BATCH // COMPLETIONS):
        some = cut[start : start + BATCH // COMPLETIONS]
        prompts = [example.text(place) for example, place in some for _ in range(COMPLETIONS)]
        ends = written(model, prompts, draws)
        for at, (example, place) in enumerate(some):
            tries = [example.lines[:place] + tuple(end) for end in ends[at * COMPLETIONS : (at + 1) * COMPLETIONS]]
            solved = [replay(example.numbers, each) == (example.target,) for each in (*tries, example.lines)]
            share[id(example), place] = sum(solved) / len(solved)
    return [
        Example(
            example.numbers,
            example.target,
            example.lines,
            tuple(
                share.get((id(example), place + 1), float(replay(example.numbers, example.lines[: place + 1]) == (example.target,)))
                for place in range(len(example.lines))
            ),
        )
        for example in examples
    ]


def walks(chance: random.Random) -> Iterator[Example]:
    """Endless written answers of known worth: right ones, random legal ones, and ones with a fault put in."""
    while True:
        numbers, target = training_problem(chance)
        lines = solution(chance, numbers, target) if chance.random() < 0.7 else wandered(chance, numbers)
        if chance.random() < 0.6:
            lines = spoilt(chance, numbers, lines)
        yield exact(numbers, target, lines)


def wandered(chance: random.Random, numbers: Numbers) -> list[str]:
    """Lines of random legal moves, as far as there are any."""
    lines = []
    while len(numbers) > 1 and (legal := moves(numbers)):
        *move, numbers = chance.choice(legal)
        lines.append(line_of(*move, numbers))
    return lines


def spoilt(chance: random.Random, numbers: Numbers, lines: list[str]) -> list[str]:
    """The same lines with one fault, and random moves from what the faulty line says is left."""
    at = chance.randrange(len(lines))
    before = replay(numbers, lines[:at])
    assert before is not None
    a, operator, b, value, after = chance.choice([move for move in moves(before) if line_of(*move) == lines[at]])
    rest = list(after)
    if chance.random() < 0.75:  # false arithmetic; most false results are near
        rest.remove(value)
        value = chance.choice([x for x in (*range(value - 3, value + 4), value - 10, value + 10, chance.randint(1, LARGEST)) if valid(x, value)])
        rest.append(value)
    elif len(rest) > 1:  # a number changes on the way
        place = chance.randrange(len(rest))
        rest[place] = chance.choice([x for x in (rest[place] - 1, rest[place] + 1, chance.randint(1, LARGEST), b) if valid(x, rest[place])] or [a])
    after = tuple(sorted(rest))
    return [*lines[:at], line_of(a, operator, b, value, after), *wandered(chance, after)]


def valid(value: int, other: int) -> bool:
    """Whether it is a number of the vocabulary, and another one."""
    return 1 <= value <= LARGEST and value != other
