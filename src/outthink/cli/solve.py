"""`outthink solve`: one problem."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from outthink.cli.failures import Exit
from outthink.cli.options import as_json, asked, fitting, model_options, parameters, session_settings
from outthink.cli.recording import recording
from outthink.cli.terminal import Output, Progress, note

if TYPE_CHECKING:
    from outthink.core.selection import Result

DEFAULT_BUDGET = "16 samples"
"""Of strategies that fill one: a search ends by itself, and where it is cut first it has no answer."""


@click.command()
@click.argument("problem")
@click.option("--model", default="embedded", show_default=True, help="'embedded', 'tiny', a .gguf file, or URL#name.")
@click.option("--strategy", default="majority", show_default=True, help="See `outthink strategies`.")
@click.option("--budget", help="Such as '8 samples, 20k tokens, 30s, $0.10'; default: 16 samples for what fills one.")
@click.option("--param", multiple=True, metavar="KEY=VALUE", help="A parameter of the strategy.")
@model_options
@as_json
@click.pass_obj
def solve(output: Output, /, **given: Any) -> int:
    """Answer one problem.

    PROBLEM is its text; - reads it from standard input. The answer goes to stdout, remarks to stderr.
    """
    if given["problem"] == "-":
        given["problem"] = sys.stdin.read().strip()
    return carry_out(output, fitting(given, asked(given["param"], [given["strategy"]])))


def carry_out(output: Output, given: Mapping[str, Any]) -> int:
    """Run it and show the result; returns the exit code."""
    from outthink import api, catalogue

    with recording("solve", given, output) as record, Progress("solving", unit="") as progress:
        progress.update(0, remark=given["strategy"])
        (chosen,) = parameters(given["param"], [given["strategy"]]).values()
        fills = "n" not in chosen and "n" in catalogue.strategy(given["strategy"]).parameters
        result = api.solve(
            given["problem"],
            model=given["model"],
            strategy=given["strategy"],
            budget=DEFAULT_BUDGET if given["budget"] is None and fills else given["budget"],
            parameters=chosen,
            journal=record.path,
            notes=record.notes,
            **session_settings(given),
        )
        progress.close()
        output.show(document_of(result), result.answer or "")  # while the journal is there: a full disk costs nothing twice
    if not output.as_json and (result.answer is None or sys.stderr.isatty()):
        note(str(result))
    return code_of(result)


def code_of(result: Result) -> Exit:
    """The exit code of one run. A replay that missed what it asked for has no answer, whatever it had offered by then."""
    from outthink.core.selection import Stop

    if result.missed:
        return Exit.UNANSWERED
    if result.answer is not None:
        return Exit.OK
    if result.stop is Stop.BUDGET:
        return Exit.BUDGET
    # Nothing arrived and the run failed: the backend turned everything away.
    return Exit.BACKEND if result.stop is Stop.FAILED and not result.samples and result.usage.calls else Exit.UNANSWERED


def document_of(result: Result) -> dict[str, Any]:
    """A result as JSON: everything but log-probabilities."""
    selection = result.selection
    return {
        "problem_id": result.problem_id,
        "strategy": result.strategy,
        "answer": result.answer,
        "confidence": result.confidence,
        "votes": dict(selection.votes) if selection is not None else {},
        "tie": selection.tie if selection is not None else False,
        "stop": result.stop,
        "reason": result.reason,
        "usage": result.usage.fields(),
        "wall_seconds": result.wall_seconds,
        "repeatable": result.repeatable,
        "cut": result.cut,
        "offers": [{"answer": offer.selection.answer, "usage": offer.usage.fields()} for offer in result.offers],
        "samples": [
            {"key": str(s.key), "text": s.whole, "finish": s.finish, "tokens": s.tokens, "usage": s.usage.fields()}
            for s in result.samples
        ],
        "failed": [{"key": str(f.key), "reason": f.reason, "usage": f.usage.fields()} for f in result.failed],
    }
