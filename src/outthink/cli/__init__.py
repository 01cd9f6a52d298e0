"""The command line. Thin: it turns words into calls of the public interface, and results into text.

Every module here is light to import; what a command needs is imported inside the command.
"""

from __future__ import annotations

import gc
import sys

from outthink.cli.failures import guarded

__all__ = ["collect_rarely", "main"]


def main() -> None:
    """Run the command line and exit."""
    from outthink.cli.app import app

    collect_rarely()
    sys.path.append("")  # `my_module:MyTask` may lie in the working folder; last, so that it can hide no module of ours
    raise SystemExit(guarded(app))


def collect_rarely() -> None:
    """Let Python look for reference cycles rarely: runs make many objects and few cycles.

    Process-wide, so it is for processes that do nothing else. Saves about a tenth of a busy run's CPU.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
