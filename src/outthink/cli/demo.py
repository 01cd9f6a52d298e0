"""`outthink demo`: a real model gets better answers because more compute is spent on them. What is done is `outthink.demo`'s."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import click

from outthink.cli.evaluate import show
from outthink.cli.options import as_json
from outthink.cli.terminal import Output, Progress, note

SHORT = {"problems": 8, "samples": 4, "replicates": 2, "live": 1}


@click.command()
@click.option("--folder", default="demo-output", show_default=True, help="Where table, plot, report and recording go.")
@click.option("--model", default="embedded", show_default=True, help="'embedded', a .gguf file, or URL#name.")
@click.option("--problems", default=64, show_default=True, help="Problems that are recorded.")
@click.option("--samples", default=16, show_default=True, help="Samples of each that are recorded.")
@click.option("--replicates", default=8, show_default=True, help="Draws from the recording per problem and strategy.")
@click.option("--live", default=8, show_default=True, help="Problems on which judge and self_refine run.")
@click.option("--seed", default=7, show_default=True)
@click.option("--short", is_flag=True, help=f"The same in small: {', '.join(f'{n} {name}' for name, n in SHORT.items())}.")
@as_json
@click.pass_obj
def demo(output: Output, /, folder: str, short: bool, **given: Any) -> None:
    """Show what this is for, on a real model.

    About five minutes on two cores: a small model answers word problems that are made here, and the same recorded samples
    show what each strategy makes of every budget. Stopped, it goes on where it was when it is started again.
    """
    from outthink.demo import demo as run
    from outthink.demo import shown_budgets
    from outthink.runtime.recorded import holds_samples

    settings = {**given, **(SHORT if short else {})}
    again = ["outthink", "demo", "--folder", folder, *(f"--{name}={value}" for name, value in given.items())]
    with Progress("loading the model", unit="") as progress:
        try:
            made = run(Path(folder), **settings, progress=lambda what, done, total: progress.update(done, total, title=what))
        except BaseException:
            if any(map(holds_samples, Path(folder).glob("*.db"))):
                output.resume = shlex.join([*again, *(["--short"] if short else [])])
            raise
    if output.as_json:
        output.show(json.loads(made.evaluation.to_json()), "")
    else:
        show(made.evaluation, [*shown_budgets(settings["samples"]), "no limit"])
    note(f"plot: {made.plot}\nreport: {made.report}\nrecording: {made.journal}\npool: {made.pool}")
