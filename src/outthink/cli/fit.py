"""`outthink fit`: scaling laws fitted to what was measured, and what they foretell."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outthink.cli.options import as_json, pairs
from outthink.cli.terminal import Output, note
from outthink.core.errors import BadInput, PredictionRefused

if TYPE_CHECKING:
    from outthink.evaluation.intervals import Interval
    from outthink.laws.compare import Comparison

_NUMBER = re.compile(r"^([0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)([kM]?)$")


@click.command()
@click.argument("file", metavar="POOL_OR_CURVE", type=click.Path(path_type=Path))
@click.option("--form", "forms", multiple=True, help="A form's name; may be given several times.")
@click.option("--all", "every", is_flag=True, help="Every form that describes such data. The default.")
@click.option("--budgets", default="", metavar="X,X,...", help="Foretell the score at these spends, such as 1k,10k.")
@click.option("--target", type=float, help="The spend at which this score is reached, a share such as 0.9.")
@click.option("--gain", type=float, help="The samples from which one more adds no more than this, such as 0.001.")
@click.option("--hold-out", default=0.5, show_default=True, help="Share of log spend that forms are judged on; 0: none.")
@click.option("--resamples", default=200, show_default=True, help="Resamples of the problems behind every interval.")
@click.option("--seed", default=0, show_default=True)
@click.option("--model", help="Of several models in the file.")
@click.option("--strategy", help="Of an evaluation's strategies; or a pool's selector, such as majority (default: coverage).")
@click.option("--unit", help="What spend counts: tokens or samples of an evaluation, or a word for a curve's x.")
@click.option("--column", multiple=True, metavar="OURS=THEIRS", help="What a column is called in the file: c=num_correct.")
@click.option("--stopped", is_flag=True, help="The counts were sampled until something was right.")
@click.option("--plot", "picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw points, laws and bands here.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the chosen law here, as JSON.")
@as_json
@click.pass_obj
def fit(output: Output, /, **given: Any) -> None:
    """Fit scaling laws and choose the one that foretells best.

    POOL_OR_CURVE is a pool, an evaluation.json, a table of counts (columns n and c, a row per problem) or of a curve (columns x
    and y, and low and high or problem), as .parquet, .csv, .jsonl or .json.
    """
    from outthink.laws.compare import compare
    from outthink.laws.read import read
    from outthink.report.laws import plot, table

    if given["every"] and given["forms"]:
        raise BadInput("choose --form or --all", where="fit")
    columns = {ours: str(theirs) or None for ours, theirs in pairs(given["column"], "--column").items()}
    data = read(
        given["file"],
        model=given["model"],
        strategy=given["strategy"],
        unit=given["unit"],
        columns=columns,
        stopped=given["stopped"],
    )
    spends = numbers(given["budgets"], "--budgets")
    found = compare(
        data, given["forms"] or None, hold_out=given["hold_out"] or None, resamples=given["resamples"], seed=given["seed"]
    )
    answers = _answers(found, spends, given)
    if given["picture"]:
        note(f"plot: {plot(found, given['picture'])}")
    if given["save"]:
        _save(given["save"], found.law.to_json())
    output.show(_document(found, answers), "\n".join([table(found, spends), *(each["says"] for each in answers)]))


def numbers(text: str, flag: str) -> list[float]:
    """ "1k,10k" as numbers. Raises BadInput."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _NUMBER.match(part)
        if match is None:
            raise BadInput(f"{part!r} is not a number such as 256, 10k or 1M", where=flag)
        found.append(float(match[1].replace("_", "")) * {"": 1, "k": 1e3, "M": 1e6}[match[2]])
    return found


def _answers(found: Comparison, spends: list[float], given: dict[str, Any]) -> list[dict[str, Any]]:
    """What was asked of the chosen law, each with its interval, or why it refused."""
    from outthink.laws.saturation import saturation

    law = found.law
    asked: list[tuple[str, Callable[[], Interval]]]
    asked = [(f"score at {x:g} {law.unit}", partial(found.predict, x)) for x in spends]
    if given["target"] is not None:
        asked.append((f"{law.unit} for a score of {given['target']:g}", partial(law.needed, given["target"])))
    if given["gain"] is not None:
        asked.append((f"{law.unit} from which one more adds at most {given['gain']:g}", partial(saturation, law, given["gain"])))
    answers: list[dict[str, Any]] = []
    for question, ask in asked:
        try:
            value = ask()
            ends = [None if end == float("inf") else end for end in (value.low, value.high)]
            shown = [f"{end:.4g}" if end is not None else "beyond reach" for end in ends]
            answers.append(
                {"asked": question, "value": value.value, "low": ends[0], "high": ends[1],
                 "says": f"{question}: {value.value:.4g}, 95% interval {shown[0]} to {shown[1]}"}
            )  # fmt: skip
        except PredictionRefused as refusal:
            answers.append({"asked": question, "value": None, "says": f"{question}: refused: {refusal}"})
    return answers


def _document(found: Comparison, answers: list[dict[str, Any]]) -> dict[str, Any]:
    held_out = found.held_out
    return {
        "chosen": found.chosen,
        "sentence": found.sentence(),
        "answers": answers,
        "laws": {name: json.loads(law.to_json()) for name, law in found.laws.items()},
        "not_fitted": dict(found.failed),
        "as_good_within_chance": list(found.kept),
        "held_out": held_out
        and {
            "fitted_up_to": held_out.largest,
            "ratio": held_out.ratio,
            "errors": {n: held_out.error(n) for n in held_out.errors},
        },
    }


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"can't be written: {error.strerror}", where=f"--save {path}") from None
