"""What somebody beside a run may hear of it: pieces of streams, samples, attempts, operations. It changes nothing.

A listener is called on the event loop, must be quick and must not raise.
"""

from __future__ import annotations

from outthink.core.backend import Delta
from outthink.core.budget import Usage
from outthink.core.errors import BackendError
from outthink.core.operation import Generate, Operation
from outthink.core.selection import Selection
from outthink.runtime.rows import Row


class Listener:
    """Hears nothing; override what is wanted.

    streams: whether pieces of samples are wanted where nobody needs them to be streamed: it makes the backend stream
    """

    streams = False

    def performing(self, operation: Operation) -> None:
        """The strategy (or a verifier) awaits an operation. What runs inside `Start` is told when it begins."""

    def performed(self, operation: Operation, error: BaseException | None) -> None:
        """Its outcome is there, or it failed."""

    def sent(self, operation: Generate, index: int) -> None:
        """An attempt at one sample (and those that share its request) leaves."""

    def piece(self, operation: Generate, delta: Delta) -> None:
        """A piece of the single sample of an operation; may be called from another thread by an embedded engine."""

    def attempt_failed(self, operation: Generate, index: int, error: BackendError) -> bool:
        """An attempt failed. False: it must not be repeated, because what it gave was passed on already."""
        return True

    def spent(self, operation: Generate, usage: Usage) -> None:
        """An attempt was settled, whatever came of it."""

    def arrived(self, operation: Generate, row: Row) -> None:
        """A sample's row: arrived, failed or refused."""

    def offered(self, selection: Selection) -> None:
        """The strategy offered an answer on the way."""
