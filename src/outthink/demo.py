"""The demo: a real model on this machine gets better answers because more compute is spent on them, measured honestly.

Samples are recorded live once, resumably; the selection strategies then answer every budget from that recording, and
strategies that need the model itself run live on a few problems. What is shown, and where, is the command's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outthink import tasks
from outthink.api import evaluate_async, run_anywhere
from outthink.core.backend import Backend
from outthink.core.budget import Budget
from outthink.core.errors import BadInput
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.selection import Result
from outthink.core.verifier import Verifier
from outthink.evaluation.export import export
from outthink.evaluation.pool import Pool
from outthink.evaluation.recorded import RecordedTask
from outthink.models import backend_of
from outthink.report.evaluation import Evaluation
from outthink.runtime.spec import RunSpec
from outthink.session import Session
from outthink.tasks import arithmetic
from outthink.verifiers.judge import Judge

LICENCE = "Apache-2.0 (problems made by Outthink; samples of SmolLM2-135M-Instruct, Apache-2.0)"
ALTERNATIVES = 20
Progress = Callable[[str, int, int], None]
"""Called with (what is being done, how far, of how many)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the comparison: a strategy with what it is bound to, under a name of its own."""

    label: str
    strategy: str
    verifier: str | Verifier | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    oracle: bool = False


SELECTORS = (
    Entry("single", "single"),
    Entry("majority", "majority"),
    Entry("weighted_majority", "weighted_majority", "self_certainty"),
    Entry("self_certainty", "self_certainty"),
    Entry("best_of_n", "best_of_n", "mean_logprob"),
    Entry("oracle", "best_of_n", "exact", oracle=True),
)
"""What answers from the recording. `oracle` is best-of-n by the gold answers: what a perfect chooser would give."""

LIVE = (
    Entry("judge", "best_of_n", Judge(max_tokens=128), {"n": 4}),
    Entry("self_refine", "self_refine", parameters={"iterations": 2}),
)
"""What needs the model itself; it judges and refines its own answers."""


@dataclass(frozen=True, slots=True)
class Made:
    """What the demo leaves behind."""

    evaluation: Evaluation
    journal: Path
    pool: Path
    plot: Path
    report: Path
    figures: Path


def demo(
    folder: Path,
    *,
    problems: int = 64,
    samples: int = 16,
    replicates: int = 8,
    live: int = 8,
    model: str | Path | Backend = "embedded",
    seed: int = 7,
    progress: Progress = lambda *_: None,
) -> Made:
    """Run it in a folder, which is made where it is missing; what is already recorded there is not paid for again.

    problems, samples: how many of each are recorded
    replicates: seeded draws from the recording per strategy and problem
    seed:       of problems and samples; the problems' wording was tuned on seeds 0 and 1, so the default is another
    live:       problems on which the strategies that need the model run

    Raises BadInput for a folder that can't be written or numbers below 1, and what opening the model raises.
    """
    for name, value in (("problems", problems), ("samples", samples), ("replicates", replicates)):
        if value < 1:
            raise BadInput(f"is {value} and must be at least 1", where=name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"can't be made: {error.strerror}", where=f"folder {folder}") from None
    evaluation, journal, pool = run_anywhere(
        _carried_out(folder, problems, samples, replicates, min(live, problems), backend_of(model), seed, progress)
    )
    figures = folder / "evaluation.json"
    figures.write_text(evaluation.to_json() + "\n", encoding="utf-8")
    plot, report = evaluation.plot(folder / "plot.png"), evaluation.report(folder / "report.html")
    return Made(evaluation, journal, pool, plot, report, figures)


async def _carried_out(
    folder: Path, problems: int, samples: int, replicates: int, live: int, backend: Backend, seed: int, progress: Progress
) -> tuple[Evaluation, Path, Path]:
    asked, task = arithmetic.problems(problems, seed), tasks.load("arithmetic")
    journal, recorded = (
        folder / f"{name}-{problems}x{samples}.{kind}" for name, kind in (("recording", "db"), ("pool", "parquet"))
    )
    await _record(asked, samples, backend, journal, seed, progress)
    await export(journal, recorded, task, asked, {"provenance": f"outthink demo, {backend.name}", "licence": LICENCE})
    evaluation = Evaluation(
        title=f"{backend.name.partition(':')[2] or backend.name} on {problems} one-step arithmetic word problems",
        model=backend.name, task=task.name, baseline="majority",
        settings={**_plain(task.sampling), "recorded": f"{samples} samples a problem", "replicates": replicates, "seed": seed},
        notes=_notes(live),
    )  # fmt: skip
    pool = Pool.read(recorded)
    await _replay(evaluation, pool, RecordedTask(pool, task), samples, replicates, seed, progress)
    if live:
        await _live(evaluation, asked[:live], backend, folder / f"live-{live}", seed, progress)
    return evaluation, journal, recorded


def budgets(samples: int) -> list[Budget]:
    """Every number of samples from 1 on."""
    return [Budget(samples=n) for n in range(1, samples + 1)]


def shown_budgets(samples: int) -> list[str]:
    """The few of them that a table shows: powers of two, and the last."""
    few = {1 << power for power in range(samples.bit_length())} | {samples}
    return [str(budget) for budget in budgets(samples) if budget.samples in few]


async def _record(asked: Sequence[Problem], samples: int, backend: Backend, journal: Path, seed: int, progress: Progress) -> None:
    """Sample every problem live; the journal makes it resumable."""
    what = f"recording {samples} samples for each of {len(asked)} problems"
    progress(what, 0, len(asked))
    await evaluate_async(
        asked, strategies=["majority"], budgets=[Budget(samples=samples)], model=backend, task="arithmetic", journal=journal,
        logprobs=LogprobNeed(top=ALTERNATIVES), seed=seed, progress=lambda done, total, _: progress(what, done, total),
    )  # fmt: skip


async def _replay(
    evaluation: Evaluation, pool: Pool, task: RecordedTask, samples: int, replicates: int, seed: int, progress: Progress
) -> None:
    """Let every selector answer all budgets from the recording."""
    what, total = "answering every budget from the recording", len(SELECTORS) * len(pool.problems) * replicates
    done = 0
    for entry in SELECTORS:
        async with Session(pool.backend(seed=seed), task=task, verifier=entry.verifier, oracle=True, seed=seed) as session:
            specs = _specs(entry, pool.problems, Budget(samples=samples), replicates, seed)
            async for spec, result in session.runs(specs, keep_samples=True):
                replicate = int(spec.name.rpartition("/")[2])
                await _add(evaluation, entry, task, spec.problem, result, budgets(samples), replicate)
                done += 1
                progress(what, done, total)


async def _live(
    evaluation: Evaluation, asked: Sequence[Problem], backend: Backend, journal: Path, seed: int, progress: Progress
) -> None:
    """Run what needs the model itself, on a few problems."""
    task = tasks.load("arithmetic")
    for entry in LIVE:
        what = f"running {entry.label} live on {len(asked)} problems"
        progress(what, 0, len(asked))
        header = {"kind": "demo", "strategies": {entry.label: dict(entry.parameters)}, "problems": [each.id for each in asked]}
        file = journal.with_name(f"{journal.name}-{entry.label}.db")
        async with Session(
            backend, task=task, verifier=entry.verifier, journal=file, header=header, oracle=True, seed=seed
        ) as session:
            done = 0
            async for spec, result in session.runs(_specs(entry, asked, Budget(), 1, seed)):
                await _add(evaluation, entry, task, spec.problem, result, [None], 0)
                done += 1
                progress(what, done, len(asked))


def _specs(entry: Entry, asked: Sequence[Problem], most: Budget, replicates: int, seed: int) -> Iterator[RunSpec]:
    runs = [(problem, replicate) for problem in asked for replicate in range(replicates)]
    for ordinal, (problem, replicate) in enumerate(runs):
        name = f"{entry.label}/{problem.id}/{replicate}"
        yield RunSpec(name, entry.strategy, problem, most, entry.parameters, seed, ordinal)


async def _add(
    evaluation: Evaluation,
    entry: Entry,
    task: Any,
    problem: Problem,
    result: Result,
    most: Sequence[Budget | None],
    replicate: int,
) -> None:
    await evaluation.add(task, problem, result, budgets=most, replicate=replicate, oracle=entry.oracle, label=entry.label)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def _notes(live: int) -> list[str]:
    notes = ["oracle is best-of-n that sees the gold answers: what a perfect chooser would give, and nobody has."]
    if live:
        ran = " and ".join(entry.label for entry in LIVE)
        notes.append(f"{ran} ran live, on {live} problem{'s' * (live != 1)} only; each is compared with majority on the same.")
    return notes
