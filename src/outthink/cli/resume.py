"""`outthink resume`: go on with a command or a gateway's request that was stopped, by what its journal says of it."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outthink.cli import evaluate, record, solve
from outthink.cli.failures import Exit
from outthink.cli.options import as_json
from outthink.cli.terminal import Output, Progress, note
from outthink.core.errors import BadInput

if TYPE_CHECKING:
    from outthink.gateway.resuming import Resumed


@click.command()
@click.argument("journal", type=click.Path(dir_okay=False))
@click.option("--config", "file", type=click.Path(dir_okay=False), help="For a gateway's record: another configuration.")
@click.option("--model", help="For a gateway's record: ask here, such as URL#name, instead of by a configuration.")
@as_json
@click.pass_obj
def resume(output: Output, journal: str, file: str | None, model: str | None) -> int:
    """Go on with a stopped run.

    JOURNAL is what `solve`, `eval` or `record` wrote, or a gateway's record of a request; nothing that it holds is paid for
    again.
    """
    from outthink.problems import read_once
    from outthink.runtime.recorded import read_header

    path = Path(journal).expanduser().absolute()
    notes: Any = read_header(path).get("notes")
    if not isinstance(notes, dict) or notes.get("command") not in _COMMANDS:
        made = "`outthink solve`, `eval`, `record` or `serve`"
        raise BadInput(f"was not made by {made}; repeat the call that made it", where=journal)
    of_gateway = notes["command"] == "serve"
    if (file or model) and not of_gateway:
        raise BadInput("are for a gateway's record; this journal names its own model", where="--config and --model")
    if file and model:
        raise BadInput("give either --config or --model", where="resume")
    arguments = {"file": str(Path(file).absolute()) if file else "", "model": model or ""} if of_gateway else notes["arguments"]
    if isinstance(problems := arguments.get("problems"), str) and read_once(problems):
        raise BadInput(f"its problems came from {problems}; repeat the command with the same input", where=journal)
    folder = Path.cwd() if file or model else Path(notes.get("folder", ""))
    if not folder.is_dir():
        raise BadInput(f"the folder {folder}, where it was started, is gone", where=journal)
    with contextlib.chdir(folder):  # names of files and modules in its arguments are relative to it
        return _COMMANDS[notes["command"]](output, {**arguments, "journal": str(path)})


def _request(output: Output, given: Mapping[str, Any]) -> int:
    """Go on with a gateway's request; its answer is what the client would have got."""
    from outthink.api import run_anywhere
    from outthink.gateway.resuming import resume

    with Progress("resuming", unit="") as progress:
        progress.update(0, remark=Path(given["journal"]).stem)
        try:
            found = run_anywhere(resume(given["journal"], file=given["file"], model=given["model"]))
        except (KeyboardInterrupt, OSError):
            output.resume = f"outthink resume {shlex.quote(given['journal'])}"
            raise
    output.show(_document(found), "\n\n".join(_said(each.text, each.calls) for each in found.answers))
    if not found.answers:
        note(found.why_none)
    return Exit.OK if found.answers else solve.code_of(found.result)


def _document(found: Resumed) -> dict[str, Any]:
    header = found.kept.header
    asked = {"request": header["request"], "model": found.kept.name, "protocol": header["protocol"]}
    answers = [
        {"text": each.text, "tool_calls": each.calls, "finish_reason": each.finish, "answer": each.answer, "votes": each.votes}
        for each in found.answers
    ]
    return {**asked, "answers": answers, "why_none": found.why_none or None, **solve.document_of(found.result)}


def _said(text: str | None, calls: list[dict[str, Any]]) -> str:
    return "\n".join(filter(None, [text, json.dumps(calls, ensure_ascii=False, indent=1) if calls else ""]))


_COMMANDS = {"solve": solve.carry_out, "eval": evaluate.carry_out, "record": record.carry_out, "serve": _request}
