"""`outthink resume`: go on with a command that was stopped, by what its journal says of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from outthink.cli import evaluate, record, solve
from outthink.cli.options import as_json
from outthink.cli.terminal import Output
from outthink.core.errors import BadInput

_COMMANDS = {"solve": solve.carry_out, "eval": evaluate.carry_out, "record": record.carry_out}


@click.command()
@click.argument("journal", type=click.Path(dir_okay=False))
@as_json
@click.pass_obj
def resume(output: Output, journal: str) -> int:
    """Go on with a stopped run.

    JOURNAL is what `solve`, `eval` or `record` wrote; nothing that it holds is paid for again.
    """
    from outthink.problems import read_once
    from outthink.runtime.recorded import read_header

    path = Path(journal).expanduser().absolute()
    notes: Any = read_header(path).get("notes")
    if not isinstance(notes, dict) or notes.get("command") not in _COMMANDS:
        raise BadInput("was not made by `outthink solve`, `eval` or `record`; repeat the call that made it", where=journal)
    arguments, folder = notes["arguments"], Path(notes["folder"])
    if isinstance(problems := arguments.get("problems"), str) and read_once(problems):
        raise BadInput(f"its problems came from {problems}; repeat the command with the same input", where=journal)
    if not folder.is_dir():
        raise BadInput(f"the folder {folder}, where it was started, is gone", where=journal)
    with contextlib.chdir(folder):  # names of files and modules in its arguments are relative to it
        return _COMMANDS[notes["command"]](output, {**arguments, "journal": str(path)})
