"""The command line. Thin: it turns words into calls of the public interface, and results into text.

Every module here is light to import; what a command needs is imported inside the command.
"""

from __future__ import annotations

import sys

from outthink.cli.failures import guarded

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    from outthink.cli.app import app

    sys.path.append("")  # `my_module:MyTask` may lie in the working folder; last, so that it can hide no module of ours
    raise SystemExit(guarded(app))
