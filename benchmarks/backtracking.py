"""One long search against many short answers at equal compute: who solves more Countdown problems, token for token?

    python benchmarks/backtracking.py

Protocol of "To Backtrack or Not to Backtrack", arXiv:2504.07052, on the tiny reasoner: `tiny-search` writes one greedy search
with backtracking, counted as solved at T tokens if its right answer ended within them; `tiny` samples n short answers, counted as
solved if any is right (a perfect checker chooses). Computation is that paper's formula, quadratic in the length of a context.
The demonstrator that the search policy imitates solves only a part of the problems itself: see docs/tiny.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from outthink.core.selection import Result
from outthink.evaluation.estimators import pass_at_k
from outthink.evaluation.flops import Shape, flops
from outthink.evaluation.intervals import accuracy
from outthink.session import Session
from outthink.tasks import countdown

SEED, LIMITS, MOST = 2027, (32, 64, 128, 256, 512), 32
TINY = Shape(layers=6, hidden=128, key_value=128, inner=384)


async def answers(model: str, task: str, problems: int, n: int, temperature: float) -> tuple[list[Result], list[list[bool]]]:
    """Runs of n samples per problem, and which samples are right."""
    asked = countdown.problems(problems, SEED, split="held_out")
    async with Session(model, task=task, oracle=True, seed=SEED, sampling={"temperature": temperature}) as session:
        found = await asyncio.gather(*[session.solve(problem, "majority", n=n) for problem in asked])
        right = []
        for problem, result in zip(asked, found, strict=True):
            given = await session.task.answers(problem, [sample.whole for sample in result.samples], [])
            right.append(await session.task.grade(problem, [answer.text for answer in given]))
    return found, right


def line(name: str, share: object, tokens: float, operations: float) -> None:
    sys.stdout.write(f"| {name} | {share} | {tokens:.0f} | {operations:.3g} |\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--problems", type=int, default=200)
    problems = parser.parse_args().problems
    sys.stdout.write("| way | solved | tokens a problem | floating-point operations |\n|---|---|---|---|\n")
    runs, right = asyncio.run(answers("tiny-search", "countdown_search", problems, 1, 0.0))
    lengths = [run.samples[0].tokens or 0 for run in runs]
    for limit in LIMITS:
        solved = [float(each[0] and length <= limit) for each, length in zip(right, lengths, strict=True)]
        spent = [min(length, limit) for length in lengths]
        line(
            f"one search of {limit} tokens",
            accuracy(solved),
            sum(spent) / problems,
            sum(flops(TINY, t) for t in spent) / problems,
        )
    runs, right = asyncio.run(answers("tiny", "countdown", problems, MOST, 1.0))
    mean = sum(sample.tokens or 0 for run in runs for sample in run.samples) / sum(len(run.samples) for run in runs)
    for n in (1, 2, 4, 8, 16, MOST):
        credit = pass_at_k([len(each) for each in right], [sum(each) for each in right], n)
        line(f"{n} short answers", accuracy(credit), n * mean, n * flops(TINY, round(mean)))


if __name__ == "__main__":
    main()
