"""Exit codes, and how an error becomes one clear message. Commands raise; only this module ends the program."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from io import TextIOWrapper
from types import FrameType

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
    OUTPUT = 74
    INTERRUPTED = 130
    TERMINATED = 143


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What an output says that can't be written to."""

EXIT_CODES = {
    Exit.OK: "every problem was answered",
    Exit.UNANSWERED: "the run finished, but a problem could not be answered",
    Exit.USAGE: "a flag, a file or a setting can't be used; nothing was spent, or what was is recorded",
    Exit.BUDGET: "the budget was spent before there was any answer",
    Exit.BACKEND: "the model can't be reached, or refuses for good",
    Exit.BUG: "a bug of Outthink's",
    Exit.OUTPUT: "the result can't be written to standard output; what was recorded can be resumed",
    Exit.INTERRUPTED: "Ctrl-C; what was recorded can be resumed",
    Exit.TERMINATED: "SIGTERM; what was recorded can be resumed",
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
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115  # closed by the caller
    for stream in (sys.stdout, sys.stderr):  # a pipe in an old encoding shows ? and doesn't end a run that was paid for
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    with _terminated() as terminated:
        return _guarded(app, output, terminated)


def _guarded(app: click.Command, output: Output, terminated: list[int]) -> int:
    try:
        code = app.main(standalone_mode=False, obj=output)
        sys.stdout.flush()
        return code if isinstance(code, int) else Exit.OK
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (KeyboardInterrupt, click.Abort):
        code = Exit.TERMINATED if terminated else Exit.INTERRUPTED
        output.fail("terminated" if terminated else "interrupted", code)
        return code
    except BrokenPipeError:
        # The reader has had enough (`outthink ... | head`). Python would complain once more when it closes stdout.
        _give_up_stdout()
        return Exit.OK
    except OSError as error:
        if error.errno not in FULL or error.filename is not None:  # what opens a file names it
            return _failed(error, output)
        _give_up_stdout()
        output.as_json = False
        output.fail(f"standard output can't be written: {error.strerror or error}", Exit.OUTPUT)
        return Exit.OUTPUT
    except Exception as error:  # noqa: BLE001  # the last door: whatever comes here becomes a message and a code
        return _failed(error, output)


def _failed(error: Exception, output: Output) -> Exit:
    if os.environ.get("OUTTHINK_DEBUG") == "1":
        traceback.print_exc()
    code = code_of(error)
    try:
        output.fail(message_of(error), code)
    except OSError:  # stdout can't take the document; the message was on stderr
        _give_up_stdout()
    return code


@contextmanager
def _terminated() -> Iterator[list[int]]:
    """SIGTERM ends a command like Ctrl-C does; the list is then not empty. Only where signals are ours: in the main thread."""
    seen: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        interrupt = signal.getsignal(signal.SIGINT)  # an event loop has one of its own, which ends its runs in order
        if not callable(interrupt):
            raise KeyboardInterrupt
        interrupt(signal.SIGINT, frame)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:
        yield seen
        return
    try:
        yield seen
    finally:
        signal.signal(signal.SIGTERM, before)


def _give_up_stdout() -> None:
    """Python would complain once more when it closes stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def message_of(error: Exception) -> str:
    """What to print: our own sentence, or for anything else a request to report it."""
    if isinstance(error, OutthinkError) and not isinstance(error, InternalError):
        return str(error)
    text = str(error) or type(error).__name__
    return f"this is a bug of Outthink's, please report it: {text} (OUTTHINK_DEBUG=1 shows where it happened)"
