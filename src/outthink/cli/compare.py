"""`outthink compare`: is A better than B at equal cost? One sentence with an interval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from outthink.cli.options import as_json, asked, budgets, parameters, refuse_typed
from outthink.cli.terminal import Output, Progress
from outthink.core.errors import BadInput, UnknownName

OF_A_POOL = ("budgets", "param", "replicates", "verifier", "task", "model", "seed")
"""Options that say how a pool is replayed."""


@click.command()
@click.argument("source", metavar="POOL_OR_EVALUATION", type=click.Path(path_type=Path))
@click.argument("first")
@click.argument("second")
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="EVALUATION",
    help="Take SECOND from this one: another model or task on the same problems.",
)  # fmt: skip
@click.option("--equal", type=click.Choice(["tokens", "samples", "usd"]), help="What is equal; default: tokens, else samples.")
@click.option("--at", type=float, help="So much of it per problem; default: the most that both were measured at.")
@click.option("--budgets", help="Of a pool: what to measure at; default: 1, 2, 4 ... as many samples as were recorded.")
@click.option("--param", multiple=True, metavar="[STRATEGY.]KEY=VALUE", help="Of a pool: a parameter of the strategies.")
@click.option(
    "--replicates", type=click.IntRange(1), default=4, show_default=True, help="Of a pool: runs of each strategy on each problem."
)
@click.option("--verifier", help="Of a pool: what scores samples; default: the recorded scores.")
@click.option("--task", help="Of a pool: the task whose prompts were recorded; default: the one that the pool names.")
@click.option("--model", help="Of a pool with several models.")
@click.option("--seed", default=0, show_default=True)
@as_json
@click.pass_obj
def compare(output: Output, /, **given: Any) -> None:
    """Say whether strategy FIRST is better than SECOND at equal cost.

    The two are replayed on a pool (.parquet), or read from the evaluation.json that `outthink eval --report` writes: from two of
    them with --against, such as one long answer of a model that backtracks and many short ones of another.
    """
    from outthink.evaluation.comparison import compare as compared

    source: Path = given["source"]
    if given["against"] is not None or source.suffix != ".parquet":
        refuse_typed(OF_A_POOL, "it is for a pool, and this is read from an evaluation")
    if given["against"] is not None:
        rows, names = across(source, given["first"], given["against"], given["second"])
    else:
        rows = replayed(given) if source.suffix == ".parquet" else read(source)
        names = [_known(rows, name) for name in (given["first"], given["second"])]
    found = compared(rows, *names, equal=given["equal"] or "", at=given["at"])
    output.show(found.fields(), str(found))


def across(source: Path, first: str, against: Path, second: str) -> tuple[list[Mapping[str, Any]], list[str]]:
    """The rows of one strategy of each of two evaluations, and what they are then called. Raises BadInput, UnknownName."""
    made, names = list[Mapping[str, Any]](), list[str]()
    for path, strategy in ((source, first), (against, second)):
        if path.suffix == ".parquet":
            raise BadInput("is a pool; give the evaluation.json that `outthink eval --report` writes", where=str(path))
        rows = read(path)
        own = _known(rows, strategy)
        if own not in (known := {str(row["strategy"]) for row in rows}):
            raise UnknownName(f"strategy of {path}", strategy, known)
        names.append(f"{own} of {path}")
        made += [{**row, "strategy": names[-1]} for row in rows if row["strategy"] == own]
    return made, names


def _known(rows: list[Mapping[str, Any]], name: str) -> str:
    """A strategy's name as the rows have it: names of the user's own may hold hyphens."""
    return name if name in {row["strategy"] for row in rows} else name.replace("-", "_")


def read(path: Path) -> list[Mapping[str, Any]]:
    """The rows of an evaluation.json. Raises BadInput for anything else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror}", where=str(path)) from None
    except (ValueError, RecursionError):
        raise BadInput("is no JSON; give a pool (.parquet) or an evaluation.json", where=str(path)) from None
    rows = document.get("rows") if isinstance(document, dict) else None
    if isinstance(rows, list):
        rungs = document.get("rungs")
        rows = [*rows, *(rungs if isinstance(rungs, list) else [])]
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "strategy" in row for row in rows):
        raise BadInput("holds no rows of an evaluation", where=str(path))
    return rows


def replayed(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rows of both strategies, run on a pool's recorded samples."""
    from outthink import api
    from outthink.cli.evaluate import task_of
    from outthink.evaluation.pool import Pool
    from outthink.evaluation.recorded import RecordedScores, RecordedTask
    from outthink.runtime.used import scored

    pool = Pool.read(given["source"])
    pool = pool.of(given["model"]) if given["model"] is not None else pool
    names = list(dict.fromkeys([given["first"], given["second"]]))
    recorded = RecordedScores(pool) if given["verifier"] is None and scored(asked(given["param"], names)) else None
    with Progress("replaying", unit="runs") as progress:
        evaluation = api.evaluate(
            pool.problems,
            strategies=names,
            budgets=ladder(pool) if given["budgets"] is None else budgets(given["budgets"]),
            parameters=parameters(given["param"], names),
            replicates=given["replicates"],
            model=pool.backend(seed=given["seed"], sleep=True),
            task=RecordedTask(pool, task_of(pool, given["task"])),
            verifier=given["verifier"] or recorded,
            seed=given["seed"],
            progress=lambda done, total, _: progress.update(done, total),
        )
    document = json.loads(evaluation.to_json())
    return [*document["rows"], *document["rungs"]]


def ladder(pool: Any) -> list[str]:
    """1, 2, 4 ... samples, up to the fewest that were recorded of a problem."""
    fewest = min(pool.frame.group_by("problem_id").len()["len"], default=1)
    steps = [1 << step for step in range(int(fewest).bit_length())]
    return [f"{each} samples" for each in sorted({*steps, int(fewest)})]
