"""`outthink pool`: look at recorded samples, put pools together, take parts of them, and bring in what others recorded.

Fitting to them is `calibrate`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outthink.cli.calibrate import calibrate
from outthink.cli.options import as_json, pairs
from outthink.cli.terminal import Output, note
from outthink.core.errors import BadInput

if TYPE_CHECKING:
    from outthink.core.problem import Problem
    from outthink.core.task import Task

_POOL = click.Path(dir_okay=False)


@click.group()
def pool() -> None:
    """Recorded samples: describe, ask, check, merge, filter, import, export; calibrate a verifier on them."""


pool.add_command(calibrate)


@pool.command()
@click.argument("pool", type=_POOL)
@as_json
@click.pass_obj
def describe(output: Output, pool: str) -> None:
    """Say what a pool holds."""
    from outthink.evaluation.description import described, facts, holds_texts
    from outthink.evaluation.pool import Pool

    found = Pool.read(pool, texts=False)
    stated = facts(found.frame, found.metadata)
    if holds_texts(pool):
        stated["columns"].append("text")
    output.show(stated, described(found.name, stated))


@pool.command()
@click.argument("pool", type=_POOL)
@click.option("--samples", "ns", metavar="N,N,...", help="Numbers of samples; default: 1, 2, 4 ... as many as were recorded.")
@click.option("--model", help="Of a pool with several models.")
@click.option("--weights", metavar="COLUMN", help="Weigh votes by this column; default: score, where it was recorded.")
@click.option("--scores", metavar="COLUMN", help="Choose the best by this column; default: score, where it was recorded.")
@click.option("--seed", default=0, show_default=True)
@click.option("--plot", "picture", type=click.Path(dir_okay=False), help="Draw the curves here: .png, .svg or .pdf.")
@as_json
@click.pass_obj
def curves(output: Output, /, pool: str, **given: Any) -> None:
    """Say what votes, scores and a perfect chooser give at every number of samples, with what one run may show.

    Any other strategy is asked by `outthink eval --pool`.
    """
    from outthink.evaluation.pool import Pool
    from outthink.report.curves import curves as made

    found = Pool.read(pool, texts=False)
    found = found.of(given["model"]) if given["model"] is not None else found
    score = "score" if found.frame["score"].count() else None
    ns = [_count(part) for part in given["ns"].split(",")] if given["ns"] else None
    measured = made(found, ns, weights=given["weights"] or score, scores=given["scores"] or score, seed=given["seed"])
    if given["picture"] is not None:
        note(f"plot: {measured.plot(given['picture'])}")
    points, notes = measured.to_polars().to_dicts(), list(measured.notes)
    output.show({"name": measured.name, "problems": measured.problems, "points": points, "notes": notes}, str(measured))


@pool.command()
@click.argument("pools", type=_POOL, nargs=-1, required=True)
@as_json
@click.pass_obj
def validate(output: Output, pools: tuple[str, ...]) -> None:
    """Check pools: every value, that no sample and no key is there twice, and that provenance and licence are stated."""
    from outthink.evaluation.description import require_stated
    from outthink.evaluation.pool import Pool
    from outthink.evaluation.schema import unique_keys

    for path in pools:
        found = Pool.read(path)
        unique_keys(found.frame, f"pool {path}")
        require_stated(found.metadata, f"pool {path}")
    output.show({"valid": list(pools)}, "\n".join(f"{path}: valid" for path in pools))


@pool.command()
@click.argument("pools", type=_POOL, nargs=-1, required=True)
@click.option("--to", required=True, type=_POOL, help="The file to write.")
@as_json
@click.pass_obj
def merge(output: Output, pools: tuple[str, ...], to: str) -> None:
    """Put pools together; a sample that is in several is taken once."""
    from outthink.evaluation.combine import merged
    from outthink.evaluation.pool import Pool

    found = [Pool.read(path) for path in pools]
    whole = merged(found, Path(to).stem)
    whole.write(to)
    again = sum(each.frame.height for each in found) - whole.frame.height
    output.show({"pool": to, "samples": whole.frame.height, "met_again": again}, "")
    if not output.as_json:
        note(f"{to}: {whole.frame.height} samples; {again} were met again")


@pool.command("filter")
@click.argument("pool", type=_POOL)
@click.option("--to", required=True, type=_POOL, help="The file to write.")
@click.option("--model", "models", multiple=True, help="Only this model's samples; may be repeated.")
@click.option("--problem", "problems", multiple=True, help="Only samples of the problem with this id; may be repeated.")
@click.option("--language", "languages", multiple=True, help="Only samples in this language; may be repeated.")
@click.option("--samples", type=click.IntRange(1), help="Only the first so many of each problem and model.")
@click.option("--whole", is_flag=True, help="Leave out what failed or was cut at its length.")
@click.option("--graded", is_flag=True, help="Leave out samples whose grade isn't known.")
@click.option("--no-texts", "texts", is_flag=True, default=True, flag_value=False, help="Leave out the texts.")
@as_json
@click.pass_obj
def filter_(output: Output, /, pool: str, to: str, **given: Any) -> None:
    """Take a part of a pool."""
    from outthink.evaluation.combine import filtered
    from outthink.evaluation.pool import Pool

    part = filtered(Pool.read(pool), **given)
    part.write(to)
    output.show({"pool": to, "samples": part.frame.height}, "")
    if not output.as_json:
        note(f"{to}: {part.frame.height} samples")


@pool.command("import")
@click.argument("source", type=click.Path())
@click.option("--to", required=True, type=_POOL, help="The pool to write.")
@click.option(
    "--format",
    type=click.Choice(["jsonl", "lm-eval", "inspect", "crucible", "journal", "records"]),
    help="Default: what the file looks like.",
)
@click.option("--column", multiple=True, metavar="OURS=THEIRS", help="What a column is called in the file: text=output.text.")
@click.option("--task", help="Extract and grade the answers anew by this task.")
@click.option("--problems", help="A file of the problems, for texts and golds that the source doesn't have.")
@click.option("--problem-ids", metavar="PATTERN", help="Call the --problems by their place, from 0: math500-{}.")
@click.option("--model", help="Who made the samples, where the source doesn't say.")
@click.option("--filter", help="lm-evaluation-harness: the filter whose answers count; default: the first.")
@click.option("--scorer", help="inspect_ai: the scorer whose grades count; default: the first.")
@click.option("--provenance", help="Where the samples come from; default: what the source says.")
@click.option("--licence", required=True, help="Under which licence they may be used.")
@as_json
@click.pass_obj
def import_(output: Output, /, source: str, to: str, **given: Any) -> None:
    """Make a pool of samples that somebody recorded.

    SOURCE is a .jsonl, .csv or .parquet table, a sample log of lm-evaluation-harness, a log of inspect_ai (.json or .eval), a
    recording of crucible, a journal of ours, or a gateway's record of a request or its folder of records.
    """
    from outthink import tasks
    from outthink.api import run_anywhere
    from outthink.evaluation.export import export
    from outthink.evaluation.importers import Options, import_pool
    from outthink.problems import load

    if Path(source).resolve() == Path(to).resolve():
        raise BadInput("is the source itself, which would be lost; name another file", where=f"--to {to}")
    task = None if given["task"] is None else tasks.load(given["task"])
    asked = [] if given["problems"] is None else [*load(given["problems"])]
    if (pattern := given["problem_ids"]) is not None:
        if not asked or "{}" not in pattern:
            raise BadInput(f"is {pattern!r}; it needs --problems, and {{}} where their numbers go", where="--problem-ids")
        asked = [replace(problem, id=pattern.replace("{}", str(at))) for at, problem in enumerate(asked)]
    metadata = {name: given[name] for name in ("provenance", "licence") if given[name] is not None}
    kind, left_out = given["format"], 0
    if kind == "records" or (kind in (None, "journal") and _has_records(source)):
        _import_records(output, source, to, task, asked, metadata)
        return
    if kind == "journal" or (kind is None and Path(source).suffix == ".db"):
        if task is None or not asked:
            raise BadInput("a journal holds neither; give its --task and its --problems", where="pool import")
        exported = run_anywhere(export(source, to, task, asked, metadata))
        written, left_out, kind = exported.written, exported.left_out, "journal"
    else:
        columns = {name: str(theirs) for name, theirs in pairs(given["column"], "--column").items()}
        options = Options(columns, given["model"], given["filter"], given["scorer"])
        made = run_anywhere(import_pool(source, to, format=kind, options=options, task=task, problems=asked, metadata=metadata))
        written, kind = made.written, made.format
    output.show({"pool": to, "format": kind, "samples": written, "left_out": left_out}, "")
    if not output.as_json:
        other = f"; {left_out} that answered no problem's own prompt were left out" if left_out else ""
        note(f"{to}: {written} samples from {source} ({'a table' if kind == 'jsonl' else kind}){other}")


def _has_records(source: str) -> bool:
    from outthink.gateway.recall import is_record

    return Path(source).is_dir() or (Path(source).suffix == ".db" and is_record(source))


def _import_records(
    output: Output, source: str, to: str, task: Task | None, asked: Sequence[Problem], metadata: Mapping[str, str]
) -> None:
    from outthink.api import run_anywhere
    from outthink.gateway.exporting import export_records

    made = run_anywhere(export_records(source, to, task=task, problems=asked, metadata=metadata))
    counts = {"records": made.records, "samples": made.written, "left_out": made.left_out, "skipped": made.skipped}
    output.show({"pool": to, "format": "records", **counts}, "")
    if not output.as_json:
        note(f"{to}: {made.written} samples from {source} (requests: {made.records})")
        if made.left_out:
            note(f"samples left out: {made.left_out} (they were no whole answers to the request itself)")
        for why, number in made.skipped.items():
            note(f"records left out: {number} ({why})")


@pool.command()
@click.argument("pool", type=_POOL)
@click.option("--to", required=True, type=_POOL, help="A .jsonl or .csv file.")
@click.option("--columns", help="Only these columns, with commas between them.")
@as_json
@click.pass_obj
def export(output: Output, pool: str, to: str, columns: str | None) -> None:
    """Write a pool as JSON Lines or CSV, one sample a line; columns that hold nothing are left out."""
    from outthink.evaluation.pool import Pool

    found = Pool.read(pool)
    found.export(to, None if columns is None else [name.strip() for name in columns.split(",")])
    output.show({"file": to, "samples": found.frame.height}, "")
    if not output.as_json:
        note(f"{to}: {found.frame.height} samples")


def _count(text: str) -> int:
    if not text.strip().isdecimal():
        raise BadInput(f"{text.strip()!r} is no number of samples", where="--samples")
    return int(text)
