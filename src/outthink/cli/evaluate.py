"""`outthink eval`: strategies on many problems at several budgets."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outthink.cli.failures import Exit
from outthink.cli.options import (
    as_json,
    asked,
    budgets,
    fitting,
    model_options,
    pairs,
    parameters,
    refuse_typed,
    session_settings,
)
from outthink.cli.recording import recording
from outthink.cli.solve import code_of
from outthink.cli.terminal import Output, Progress, note
from outthink.core.errors import BadInput
from outthink.core.given import whole

if TYPE_CHECKING:
    from outthink.core.selection import Result
    from outthink.core.task import Task
    from outthink.evaluation.pool import Pool
    from outthink.report.evaluation import Evaluation

REPLAYS = 4
"""Runs of each strategy on each problem of a pool, which cost nothing."""


@click.command("eval")
@click.argument("problems", required=False)
@click.option("--model", help="'embedded' (the default), a .gguf file, or URL#name.")
@click.option("--pool", type=click.Path(dir_okay=False), help="Answer from these recorded samples instead of a model.")
@click.option("--strategies", default="single,majority", show_default=True, help="Names with commas between them.")
@click.option(
    "--budgets", default="1,2,4,8 samples", show_default=True,
    help="Of each problem: '1,2,4 samples', or whole budgets with ; between them.",
)  # fmt: skip
@click.option("--param", multiple=True, metavar="[STRATEGY.]KEY=VALUE", help="A parameter of the strategies.")
@click.option("--replicates", type=click.IntRange(1), help="Runs of each strategy on each problem; default: 1, from a pool 4.")
@click.option("--total-budget", help="The most that the whole evaluation may spend.")
@click.option("--limit", type=int, help="Only so many problems, from the start.")
@click.option("--column", multiple=True, metavar="OURS=THEIRS", help="What a column is called in the file: gold=answer.")
@click.option("--report", type=click.Path(file_okay=False), help="Write report.html, plot.png and evaluation.json here.")
@model_options
@as_json
@click.pass_obj
def evaluate(output: Output, /, **given: Any) -> int:
    """Measure strategies on many problems.

    PROBLEMS is a .jsonl, .csv, .parquet or .txt file, - for standard input, or hf:owner/name.
    """
    return carry_out(output, fitting(given, asked(given["param"], names_in(given["strategies"]))))


def carry_out(output: Output, given: Mapping[str, Any]) -> int:
    """Run it and show the result; returns the exit code."""
    from outthink import api

    codes: Counter[Exit] = Counter()
    from outthink.evaluation.rows import PLAIN

    source = source_of(given)
    names = names_in(given["strategies"])
    replayed = given["pool"] is not None
    if replayed and PLAIN[0] not in names and not source["task"].of_steps:
        names.append(PLAIN[0])  # it costs nothing, and says what the same tokens give without any strategy
    folder = None if given["report"] is None else report_folder(given["report"])
    with recording("eval", given, output) as record, Progress("evaluating", unit="runs") as progress:

        def told(done: int, total: int, result: Result) -> None:
            codes[code_of(result)] += 1
            unanswered = codes.total() - codes[Exit.OK]
            progress.update(done, total, f"{unanswered} without an answer" if unanswered else "")

        evaluation = api.evaluate(
            **source,
            strategies=names,
            budgets=budgets(given["budgets"]),
            parameters=parameters(given["param"], names),
            replicates=given["replicates"] or (REPLAYS if replayed else 1),
            budget=given["total_budget"],
            journal=None if replayed and given["journal"] is None else record.path,  # a replay can be had again for nothing
            notes=record.notes,
            progress=told,
        )
        code = _code_of(codes)
        record.keep = code is not Exit.OK and record.path.exists()
        if folder is not None:  # while the journal is there: a full disk must not cost what was paid for
            write(evaluation, folder)
        if record.keep:
            note(f"not every run has an answer; what was recorded is kept in {record.path}")
        progress.close()
        if output.as_json:  # while the journal is there, like the report
            output.show(json.loads(evaluation.to_json()), "")
        else:
            show(evaluation)
    return code


def names_in(text: str) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for name in text.split(",")]


def _code_of(codes: Counter[Exit]) -> Exit:
    """The exit code of many runs: what all of them say, or that some have no answer."""
    return next(iter(codes)) if len(codes) == 1 else Exit.UNANSWERED


def source_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Problems, model and the session's settings: live, or all from a pool."""
    from outthink.problems import load

    settings = session_settings(given)
    if given["pool"] is None:
        if given["problems"] is None:
            raise BadInput("name a file of problems, or a --pool of recorded samples", where="eval")
        columns = {name: str(theirs) for name, theirs in pairs(given["column"], "--column").items()}
        problems = load(given["problems"], columns=columns, limit=given["limit"])
        return {"problems": problems, "model": given["model"] or "embedded", **settings}
    from outthink.evaluation.pool import Pool
    from outthink.evaluation.recorded import RecordedScores, RecordedTask
    from outthink.runtime.used import scored

    if given["problems"] is not None:
        raise BadInput("a pool brings its own problems; name either PROBLEMS or --pool", where="eval")
    if given["engine"] or given["probed"]:
        raise BadInput("--engine and --probed are for servers, and a pool is none", where="eval")
    refuse_typed(["column"], "it is for a file of problems, and a pool has its own")
    if given["limit"] is not None:
        whole("--limit", given["limit"], 1)
    pool = Pool.read(given["pool"])
    if given["model"] is not None:
        pool = pool.of(given["model"])
    task = task_of(pool, given["task"])
    settings["task"] = RecordedTask(pool, task, own_settings=not settings["sampling"])
    if settings["verifier"] is None and scored(asked(given["param"], names_in(given["strategies"]))):
        settings["verifier"] = RecordedScores(pool)
    backend = pool.backend(seed=given["seed"], sleep=True, prices=settings.pop("prices", None))
    return {"problems": pool.problems[: given["limit"]], "model": backend, **settings}


def report_folder(name: str) -> Path:
    """The folder of the report, made if it is missing. Raises BadInput before anything is spent."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"can't be made: {error.strerror}", where=f"--report {folder}") from None
    if not os.access(folder, os.W_OK):
        raise BadInput("can't be written to", where=f"--report {folder}")
    return folder


def task_of(pool: Pool, named: str | None) -> Task | None:
    """The task that gives the prompts again: the one that is named, or else the recording's own; None: there is none."""
    from outthink import tasks

    own = pool.metadata.get("task", "")
    if named is not None:
        return tasks.load(named)
    return tasks.load(own) if own in tasks.names() else None


def write(evaluation: Evaluation, folder: Path) -> None:
    """The report, the picture and the figures, in a folder that is there."""
    try:
        (folder / "evaluation.json").write_text(evaluation.to_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"can't be written: {error.strerror}", where=f"--report {folder}") from None
    evaluation.plot(folder / "plot.png")
    note(f"report: {evaluation.report(folder / 'report.html')}")


def show(evaluation: Evaluation, budgets: Sequence[str] | None = None) -> None:
    """The table, of all budgets or these: as wide as the terminal, or 120 characters of plain text where it is piped.

    Where not even what matters most fits, the terminal breaks its lines: a figure that is cut off is a wrong one.
    """
    from rich.console import Console

    from outthink.report.table import width_of

    console = Console(width=None if sys.stdout.isatty() else 120)
    made = evaluation.table(budgets, width=console.width)
    console.width = max(console.width, width_of(made))
    console.print(made, crop=False)
