"""`outthink pool calibrate`: maps from a process verifier's scores to chances, fitted to recorded steps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outthink.cli.options import as_json
from outthink.cli.terminal import Output, note
from outthink.core.errors import BadInput

if TYPE_CHECKING:
    from outthink.evaluation.intervals import Interval
    from outthink.evaluation.step_calibration import Effect


@click.command()
@click.argument("pool", type=click.Path(dir_okay=False))
@click.option("--to", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write, as JSON.")
@click.option("--task", help="Whose steps they are; default: the task that the pool names.")
@click.option("--model", help="Of a pool with several models.")
@click.option(
    "--verifier", default="", help="Who scored, where the pool doesn't say: its name as a calibration's error tells it."
)
@click.option(
    "--truth", type=click.Choice(["value", "outcomes"]),
    help="What is good: what the task's exact solver says, or what came of it; default: value, where the task has one.",
)  # fmt: skip
@click.option("--least", default=100, show_default=True, help="Labels below which a depth has no map of its own.")
@as_json
@click.pass_obj
def calibrate(output: Output, /, pool: str, to: Path, **given: Any) -> None:
    """Turn a process verifier's scores into chances, depth by depth.

    POOL is a search's journal that `outthink pool import` made a pool of. The file is for --verifier-setting calibration=FILE.
    What is printed was measured by maps of four fifths of the problems on the other fifth.
    """
    from outthink.cli.evaluate import task_of
    from outthink.evaluation.pool import Pool
    from outthink.evaluation.step_calibration import cross_fitted, fit
    from outthink.evaluation.step_labels import labelled

    found = Pool.read(pool)
    found = found.of(given["model"]) if given["model"] is not None else found
    task = task_of(found, given["task"])
    if task is None:
        raise BadInput("doesn't name a task that is known here; name it (--task)", where=f"pool {pool}")
    labels = labelled(found, task, verifier=given["verifier"], truth=given["truth"] or "")
    maps = fit(labels, least=given["least"], notes={"pool": found.name, "model": found.one_model()})
    effects = cross_fitted(labels, least=given["least"])
    try:
        to.write_text(maps.to_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"can't be written: {error.strerror}", where=f"--to {to}") from None
    document = {"calibration": str(to), "verifier": maps.verifier, "truth": labels.truth, "effects": [asdict(e) for e in effects]}
    output.show(document, "\n".join(["depth   steps   good   calibration error before, after, change", *map(_line, effects)]))
    if not output.as_json:
        note(f"{to}: maps of {', '.join(map(str, maps.depths)) or 'no'} steps and a pooled one, for {maps.verifier}")


def _line(effect: Effect) -> str:
    depth = str(effect.depth) if effect.depth else "all"
    errors = ", ".join(map(_shown, (effect.before, effect.after, effect.change)))
    return f"{depth:>5}  {effect.labels:>6}  {effect.good:>4.0%}   {errors}"


def _shown(value: Interval | None) -> str:
    return "-" if value is None else str(value)
