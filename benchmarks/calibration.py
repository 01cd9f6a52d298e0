"""Does it help to turn a verifier's scores into chances? Calibration errors, and what searches make of it, on the tiny reasoner.

    python benchmarks/calibration.py        # the table of docs/verifiers.md; about half an hour on a busy core

Maps are fitted to the steps of plain samples (a beam that drops nothing) of 300 held-out problems, 16 each, labelled by the exact
solver. Errors and searches are measured on 200 other held-out problems, the ones of docs/search.md: `tiny` at temperature 1,
`tiny-verifier` read by `verdict`, searches of n = 16. The differences in accuracy are paired by problem.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any

from outthink import tasks
from outthink.api import evaluate_async
from outthink.core.problem import Problem
from outthink.evaluation.export import export
from outthink.evaluation.intervals import accuracy, difference
from outthink.evaluation.pool import Pool
from outthink.evaluation.step_calibration import Effect, calibrated, effects, fit
from outthink.evaluation.step_labels import StepLabels, labelled
from outthink.session import Session
from outthink.tasks import countdown
from outthink.verifiers.verdict import Verdict

FITTED, MEASURED = 31, 2026
"""Seeds of the problems."""
PLAIN = {"width": 16, "branching": 1, "unique": False}
SEARCHES: list[tuple[str, dict[str, Any]]] = [
    ("beam_search", {"width": 16, "branching": 4}),
    ("particle_filter", {"width": 16}),
    ("a_star", {"width": 2, "branching": 4, "expansions": 12}),
]
MODELS: dict[str, Any] = {"task": "countdown", "roles": {"prm": "tiny-verifier"}}


async def steps(problems: list[Problem], seed: int, folder: Path) -> StepLabels:
    """The scored steps of 16 plain samples of each problem."""
    journal, pool = folder / f"{seed}.db", folder / f"{seed}.parquet"
    await evaluate_async(
        problems, model="tiny", verifier=Verdict(), strategies="beam_search", parameters={"beam_search": PLAIN},
        budgets="20k tokens", journal=journal, seed=seed, **MODELS,
    )  # fmt: skip
    task = tasks.load("countdown")
    await export(journal, pool, task, problems, {"licence": "CC0-1.0"})
    return labelled(Pool.read(pool), task)


async def right(strategy: str, parameters: dict[str, Any], problems: list[Problem], verifier: Verdict) -> list[float]:
    """Whether each problem's answer is right."""
    async with Session("tiny", verifier=verifier, oracle=True, seed=MEASURED, **MODELS) as session:
        found = await asyncio.gather(*[session.solve(problem, strategy, **parameters) for problem in problems])
        graded = [await session.task.grade(problem, [each.answer]) for problem, each in zip(problems, found, strict=True)]
    return [float(grade) for (grade,) in graded]


def error_line(effect: Effect) -> str:
    depth = effect.depth or "all"
    return f"| {depth} | {effect.labels} | {effect.good:.0%} | {effect.before} | {effect.after} | {effect.change} |\n"


async def main(fitted: int, measured: int) -> None:
    """Print both tables."""
    problems = countdown.problems(measured, MEASURED)
    known = {problem.text for problem in problems}
    others = [problem for problem in countdown.problems(fitted, FITTED) if problem.text not in known]
    with tempfile.TemporaryDirectory() as folder:
        maps = fit(await steps(others, FITTED, Path(folder)))
        own = await steps(problems, MEASURED, Path(folder))
    sys.stdout.write("| step | scores | good | error before | after | change |\n|---|---|---|---|---|---|\n")
    sys.stdout.writelines(map(error_line, effects(own, calibrated(maps, own))))
    sys.stdout.write("\n| n = 16 | as it scores | calibrated | difference |\n|---|---|---|---|\n")
    for strategy, parameters in SEARCHES:
        raw, mapped = [await right(strategy, parameters, problems, each) for each in (Verdict(), Verdict(calibration=maps))]
        sys.stdout.write(f"| {strategy} | {accuracy(raw)} | {accuracy(mapped)} | {difference(mapped, raw)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--fitted", type=int, default=300, help="Problems that maps are fitted to.")
    parser.add_argument("--measured", type=int, default=200, help="Problems that all is measured on.")
    given = parser.parse_args()
    asyncio.run(main(given.fitted, given.measured))
