"""One long search against many short answers at equal computation: who solves more Countdown problems?

    python benchmarks/backtracking.py        # the table of docs/backtracking.md; a few minutes

Protocol of "To Backtrack or Not to Backtrack", arXiv:2504.07052, on the tiny reasoner and 200 held-out problems. `tiny-search`
writes one greedy search with backtracking, which counts as solved at a limit of T tokens if its right answer ended within them.
`tiny` samples n short answers at temperature 0.7; they count as solved if any is right (a perfect checker chooses, as there), and
beside it if the one is right that `tiny-verifier` scores best. Computation is that paper's formula, quadratic in the length of a
context; reading an answer to score it is paid for too. There a search is charged its limit whether or not it ended before; here
both are told, and what was really written is what is compared, since anyone would stop it at its end. The demonstrator that the
search policy learned from solves only a part of the problems itself: the bound of the data.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from outthink.core.capability import Needs
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.evaluation.comparison import Rung, mixed
from outthink.evaluation.estimators import best_curve, pass_at_k
from outthink.evaluation.flops import Shape, flops
from outthink.evaluation.intervals import accuracy, difference
from outthink.session import Session
from outthink.tasks import countdown

sys.path.insert(0, str(Path(__file__).parents[1]))
from train.tiny.data import demonstration
from train.tiny.vocabulary import encode

SEED, LIMITS, COUNTS = 2027, (32, 64, 96, 128, 192, 256), (1, 2, 4, 8, 16, 32)
TINY = Shape(layers=6, hidden=128, key_value=128, inner=384)
SHORT_TEMPERATURE = 0.7

Drawn = dict[str, tuple[Sequence[Sample], Sequence[float | None]]]


async def searched(problems: Sequence[Problem]) -> list[tuple[bool, int]]:
    """Whether each problem's one search is right, and how many tokens it wrote."""
    async with Session("tiny-search", task="countdown_search", oracle=True, seed=SEED, sampling={"temperature": 0.0}) as session:
        found = await asyncio.gather(*[session.solve(problem, "single") for problem in problems])
        right = [(await session.task.grade(problem, [each.answer]))[0] for problem, each in zip(problems, found, strict=True)]
    return [(grade, each.samples[0].tokens or 0) for grade, each in zip(right, found, strict=True)]


async def sampled(problems: Sequence[Problem]) -> tuple[list[list[bool]], list[list[float]], float, float]:
    """(P, n) which short answers are right, and their scores; mean tokens of an answer, and of what is read to score one."""
    drawn: Drawn = {}

    @strategy("drawn", needs={Needs.SCORES})
    async def draw(run: Run, problem: Problem, n: int = COUNTS[-1]) -> Selection:
        """Answers and their scores."""
        samples = await run.generate(problem, n=n)
        drawn[problem.id] = samples, await run.score(problem, samples)
        return Selection(None)

    async with Session(
        "tiny", task="countdown", verifier="verdict", roles={"prm": "tiny-verifier"}, oracle=True, seed=SEED,
        sampling={"temperature": SHORT_TEMPERATURE},
    ) as session:  # fmt: skip
        await asyncio.gather(*[session.solve(problem, draw) for problem in problems])
        right, scores, written, prompts = [], [], [], []
        for problem in problems:
            samples, said = drawn[problem.id]
            answers = await session.task.answers(problem, [sample.whole for sample in samples], [])
            right.append(await session.task.grade(problem, [answer.text for answer in answers]))
            scores.append([-1.0 if score is None else score for score in said])
            written += [sample.tokens or 0 for sample in samples]
            prompts += [1 + len(encode(problem.text))] * len(samples)
    mean = sum(written) / len(written)
    return right, scores, mean, mean + sum(prompts) / len(prompts)


def demonstrated(problems: Sequence[Problem]) -> list[int | None]:
    """Tokens of the demonstrator's search of each problem; None where it fails."""
    chance = random.Random(SEED)
    texts = [demonstration(chance, *countdown.read(problem)) for problem in problems]
    return [None if text is None else 1 + len(encode(text)) for text in texts]


def compared(credit: Sequence[float], spent: float, ladder: Sequence[Rung]) -> str:
    """The paired difference to a ladder at the same computation, in points."""
    names = list(ladder[0].credit)
    others, inside = mixed(ladder, spent, names)
    gap = difference(credit, others)
    points = f"{100 * gap.value:+.1f} [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
    return points if inside else f"({points})"


def shown(credit: Sequence[float]) -> str:
    """A share in percent."""
    found = accuracy(credit)
    return f"{100 * found.value:.1f}% [{100 * found.low:.0f}, {100 * found.high:.0f}]"


def rungs(columns: Mapping[int, Sequence[float]], each: float) -> list[Rung]:
    """A ladder of counts of answers, each of which costs so much."""
    return [Rung(n * each, {str(at): float(share) for at, share in enumerate(column)}) for n, column in columns.items()]


async def main(count: int) -> None:
    """Print the table."""
    problems = countdown.problems(count, SEED)
    searches, bound = await searched(problems), demonstrated(problems)
    right, scores, short, read = await sampled(problems)
    hits = [sum(row) for row in right]
    perfect = {n: [float(each) for each in pass_at_k([len(row) for row in right], hits, n)] for n in COUNTS}
    curves = [best_curve(said, row, COUNTS) for said, row in zip(scores, right, strict=True)]
    chosen = {n: [float(curve[at]) for curve in curves] for at, n in enumerate(COUNTS)}
    answer, scoring = flops(TINY, round(short)), flops(TINY, round(read))
    ladders = rungs(perfect, answer), rungs(chosen, answer + scoring)
    write = sys.stdout.write
    write(f"A short answer has {short:.1f} tokens; to score it {read:.1f} are read.\n\n")
    write("| one search of at most | solved | its demonstrator | tokens | operations (at the limit) | "
          "minus a perfect checker's choice | minus the verifier's choice |\n|---|---|---|---|---|---|---|\n")  # fmt: skip
    for limit in LIMITS:
        credit = [float(grade and length <= limit) for grade, length in searches]
        lengths = [min(length, limit) for _, length in searches]
        spent = sum(flops(TINY, length) for length in lengths) / count
        taught = [float(length is not None and length <= limit) for length in bound]
        against = " | ".join(compared(credit, spent, ladder) for ladder in ladders)
        write(f"| {limit} tokens | {shown(credit)} | {shown(taught)} | {sum(lengths) / count:.0f} | "
              f"{spent:.2e} ({flops(TINY, limit):.2e}) | {against} |\n")  # fmt: skip
    write(
        "\n| short answers | chosen by a perfect checker | operations | by the verifier | operations |\n|---|---|---|---|---|\n"
    )
    for n in COUNTS:
        write(f"| {n} | {shown(perfect[n])} | {n * answer:.2e} | {shown(chosen[n])} | {n * (answer + scoring):.2e} |\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--problems", type=int, default=200)
    asyncio.run(main(parser.parse_args().problems))
