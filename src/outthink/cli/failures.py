"""Exit codes, and how an error becomes one clear message. Commands raise; only this module ends the program."""

from __future__ import annotations

import os
import sys
import traceback
from enum import IntEnum
from io import TextIOWrapper

import click

from outthink.cli.terminal import Output
from outthink.core.errors import BackendError, InternalError, OutthinkError, RunError, UsageError


class Exit(IntEnum):
    """What the program says to its caller when it ends."""

    OK = 0
    UNANSWERED = 1
    USAGE = 2
    BUDGET = 3
    BACKEND = 4
    BUG = 70
    INTERRUPTED = 130


EXIT_CODES = {
    Exit.OK: "every problem was answered",
    Exit.UNANSWERED: "the run finished, but a problem could not be answered",
    Exit.USAGE: "a flag, a file or a setting can't be used; nothing was spent",
    Exit.BUDGET: "the budget was spent before there was any answer",
    Exit.BACKEND: "the model can't be reached, or refuses for good",
    Exit.BUG: "a bug of Outthink's",
    Exit.INTERRUPTED: "Ctrl-C; what was recorded can be resumed",
}


def code_of(error: BaseException) -> Exit:
    """The exit code of an error."""
    match error:
        case UsageError():
            return Exit.USAGE
        case BackendError():
            return Exit.BACKEND
        case RunError():
            return Exit.UNANSWERED
        case _:
            return Exit.BUG


def guarded(app: click.Command) -> int:
    """Run `app` and return its exit code; an error of ours is one message, its traceback only with OUTTHINK_DEBUG=1."""
    output = Output()
    for stream in (sys.stdout, sys.stderr):  # a pipe in an old encoding shows ? and doesn't end a run that was paid for
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = app.main(standalone_mode=False, obj=output)
        sys.stdout.flush()
        return code if isinstance(code, int) else Exit.OK
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        output.fail("interrupted", Exit.INTERRUPTED)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader has had enough (`outthink ... | head`). Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:  # noqa: BLE001  # the last door: whatever comes here becomes a message and a code
        if os.environ.get("OUTTHINK_DEBUG") == "1":
            traceback.print_exc()
        output.fail(message_of(error), code_of(error))
        return code_of(error)


def message_of(error: Exception) -> str:
    """What to print: our own sentence, or for anything else a request to report it."""
    if isinstance(error, OutthinkError) and not isinstance(error, InternalError):
        return str(error)
    text = str(error) or type(error).__name__
    return f"this is a bug of Outthink's, please report it: {text} (OUTTHINK_DEBUG=1 shows where it happened)"
