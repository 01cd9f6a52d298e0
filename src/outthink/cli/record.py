"""`outthink record`: a run whose product is a pool. What is done is `outthink.record`'s."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outthink.cli.failures import Exit
from outthink.cli.options import as_json, fitting, model_options, pairs, session_settings
from outthink.cli.terminal import Output, Progress, note

if TYPE_CHECKING:
    from outthink.core.selection import Result


@click.command()
@click.argument("problems")
@click.option("--pool", required=True, type=click.Path(dir_okay=False), help="The pool; one that is there is added to.")
@click.option("--samples", type=int, required=True, help="How many samples of each problem the pool is to hold.")
@click.option("--model", default="embedded", show_default=True, help="'embedded', 'tiny', a .gguf file, or URL#name.")
@click.option("--provenance", help="Where the samples come from; required for a new pool.")
@click.option("--licence", help="Under which licence they may be used; required for a new pool.")
@click.option("--logprobs", type=int, help="Summarise log-probabilities of so many alternatives per token (0: the chosen only).")
@click.option("--arrays", is_flag=True, help="Keep the log-probabilities of every token too.")
@click.option("--every", type=int, help="Keep what a sample had said every so many tokens.")
@click.option("--limit", type=int, help="Only so many problems, from the start.")
@click.option("--column", multiple=True, metavar="OURS=THEIRS", help="What a column is called in the file: gold=answer.")
@model_options
@as_json
@click.pass_obj
def record(output: Output, /, **given: Any) -> int:
    """Record samples into a pool.

    PROBLEMS is a .jsonl, .csv, .parquet or .txt file, - for standard input, or hf:owner/name. Stopped, it goes on where it was
    when it is started again. What the pool holds already is not asked for again.
    """
    from outthink.record import samples_of

    return carry_out(output, fitting(given, [(samples_of, {})]))


def carry_out(output: Output, given: Mapping[str, Any]) -> int:
    """Run it and say what came of it; returns the exit code."""
    from outthink.problems import load
    from outthink.record import journal_of
    from outthink.record import record as run
    from outthink.runtime.recorded import holds_samples

    target = Path(given["pool"])
    own = journal_of(target).absolute()
    journal = Path(given["journal"] or own).absolute()
    columns = {name: str(theirs) for name, theirs in pairs(given["column"], "--column").items()}
    failed = 0
    with Progress("recording", unit="problems") as progress:

        def told(done: int, total: int, result: Result) -> None:
            nonlocal failed
            failed += len(result.failed)
            progress.update(done, total, f"{failed} samples failed" if failed else "")

        settings = {name: given[name] for name in ("samples", "model", "provenance", "licence", "logprobs", "arrays", "every")}
        arguments = {name: value for name, value in given.items() if name != "journal"}
        try:
            made = run(
                load(given["problems"], columns=columns, limit=given["limit"]),
                target,
                notes={"command": "record", "arguments": arguments, "folder": os.getcwd()},
                progress=told,
                journal=None if journal == own else journal,
                **settings,
                **session_settings(given),
            )
        except BaseException:
            if holds_samples(journal):
                output.resume = f"outthink resume {shlex.quote(str(journal))}"
            raise
    document = {"pool": str(made.pool), "added": made.added, "failed": made.failed, "samples": made.held}
    output.show(document, "")
    if not output.as_json:
        note(f"{made.pool}: {made.added} samples added, {made.failed} of them failed; it holds {made.held}")
        if not made.answered and made.added > made.failed:
            note("no sample that was added has an answer: is it the right task?")
    return Exit.BACKEND if made.added and made.failed == made.added else Exit.OK
