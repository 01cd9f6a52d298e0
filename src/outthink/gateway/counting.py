"""What a run spent and on what, and the usage that a client is told. Every attempt counts, whatever came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from outthink.core.backend import Delta
from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BackendError
from outthink.core.operation import Generate, Operation
from outthink.core.sample import Finish
from outthink.core.selection import Selection
from outthink.runtime.listening import Listener
from outthink.runtime.rows import Row


class Counting(Listener):
    """Adds up what a run spends.

    total:    everything
    verifier: of that, what went to roles other than the generator, and to verifiers' own calls
    samples:  of the generator, that arrived whole
    failed:   attempts that failed;  retries: attempts after the first at a sample
    error:    the last failure of an attempt, as long as nothing arrived after it
    """

    def __init__(self) -> None:
        self.total = self.verifier = NOTHING
        self.samples = self.failed = self.retries = 0
        self.error: BackendError | None = None
        self._kept = 0
        self._sent: set[tuple[object, int]] = set()

    def sent(self, operation: Generate, index: int) -> None:
        """Count an attempt."""
        at = (operation.key, index)
        if at in self._sent:
            self.retries += 1
        self._sent.add(at)

    def attempt_failed(self, operation: Generate, index: int, error: BackendError) -> bool:
        """Count it, and remember why."""
        self.failed += 1
        self.error = error
        return True

    def spent(self, operation: Generate, usage: Usage) -> None:
        """Add what an attempt cost."""
        self.total += usage
        if is_verifying(operation):
            self.verifier += usage

    def arrived(self, operation: Generate, row: Row) -> None:
        """Count a sample."""
        if row.state == "ok":
            self.error = None
            self.samples += not is_verifying(operation) and row.finish != Finish.CANCELLED
        if row.finish != Finish.CANCELLED:
            self._kept += row.usage.completion_tokens

    @property
    def cancelled_tokens(self) -> int:
        """Completion tokens of samples that were left before they ended."""
        return max(0, self.total.completion_tokens - self._kept)

    def details(self) -> dict[str, Any]:
        """What OpenAI's usage has no place for."""
        total, verifier = self.total, self.verifier
        found: dict[str, Any] = {
            "samples": self.samples,
            "calls": total.calls,
            "retries": self.retries,
            "failed_calls": self.failed,
            "verifier_prompt_tokens": verifier.prompt_tokens,
            "verifier_completion_tokens": verifier.completion_tokens,
            "cancelled_tokens": self.cancelled_tokens,
            "unknown_prompt_tokens": total.unknown_prompt_tokens,
            "unknown_completion_tokens": total.unknown_completion_tokens,
        }
        return found if total.usd is None else found | {"usd": round(total.usd, 9)}

    def usage(self) -> dict[str, Any]:
        """The usage of chats and completions."""
        total = self.total
        return {
            "prompt_tokens": total.prompt_tokens,
            "completion_tokens": total.completion_tokens,
            "total_tokens": total.tokens,
            "prompt_tokens_details": {"cached_tokens": total.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": total.reasoning_tokens},
            "outthink": self.details(),
        }

    def progress(self) -> str:
        """How far the run is, in a few words."""
        return f"{self.samples} samples, {self.total.tokens} tokens"


def is_verifying(operation: Generate) -> bool:
    """Whether its samples are no candidates for the answer: another role's, or asked for inside of a verifier."""
    return operation.role != "generator" or any(step < 0 for step in operation.key.path)


class Together(Listener):
    """Several listeners as one."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._all = tuple(listeners)

    @property
    def streams(self) -> bool:  # type: ignore[override]  # it is asked at each operation
        """Whether any of them wants pieces."""
        return any(each.streams for each in self._all)

    def performing(self, operation: Operation) -> None:
        """Tell all."""
        for each in self._all:
            each.performing(operation)

    def performed(self, operation: Operation, error: BaseException | None) -> None:
        """Tell all."""
        for each in self._all:
            each.performed(operation, error)

    def sent(self, operation: Generate, index: int) -> None:
        """Tell all."""
        for each in self._all:
            each.sent(operation, index)

    def piece(self, operation: Generate, delta: Delta) -> None:
        """Tell all."""
        for each in self._all:
            each.piece(operation, delta)

    def attempt_failed(self, operation: Generate, index: int, error: BackendError) -> bool:
        """Tell all; it is repeated only where all of them let it be."""
        told = [each.attempt_failed(operation, index, error) for each in self._all]
        return all(told)

    def spent(self, operation: Generate, usage: Usage) -> None:
        """Tell all."""
        for each in self._all:
            each.spent(operation, usage)

    def arrived(self, operation: Generate, row: Row) -> None:
        """Tell all."""
        for each in self._all:
            each.arrived(operation, row)

    def offered(self, selection: Selection) -> None:
        """Tell all."""
        for each in self._all:
            each.offered(selection)
