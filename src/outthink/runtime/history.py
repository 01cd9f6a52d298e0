"""One run's part of a journal: what it held when the run began, and what is added. What a row means is not known here."""

from __future__ import annotations

from collections.abc import Callable

from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import JournalMismatch
from outthink.core.key import Key
from outthink.core.operation import Generate, Operation
from outthink.runtime.journal import Journal
from outthink.runtime.recorded import Recorded
from outthink.runtime.rows import Outcome, Row


class History:
    """Of the run of this name.

    before: all that was recorded of it, or None for a new run
    """

    def __init__(self, journal: Journal, run: str) -> None:
        self._journal, self._run = journal, run
        self.before: Recorded | None = journal.recorded(run)
        self._lost = dict(self.before.sent) if self.before is not None else {}

    # What was

    def samples(self, key: Key, digest: str) -> list[Row]:
        """The rows of a Generate, in order. Raises JournalMismatch where they are another one's."""
        rows = self.before.of(key.path, key.seq) if self.before is not None else []
        if any(row.digest != digest for row in rows):
            raise _mismatch(key)
        return rows

    def outcome(self, operation: Operation) -> Outcome | None:
        """The outcome of an operation that is no sample. Raises JournalMismatch where it is another one's."""
        key = operation.key
        found = self.before.outcomes.get((key.path, key.seq)) if self.before is not None else None
        if found is not None and found.digest != operation.digest():
            raise _mismatch(key)
        return found

    def lost(self, key: Key, index: int) -> Usage:
        """What attempts cost, or may have cost, that were sent before a crash and have no outcome; told once, charged already."""
        return sum((row.usage for row in self._lost.pop((key.path, key.seq, index), [])), NOTHING) if self._lost else NOTHING

    # What is

    def begin(self, clock: Callable[[], float]) -> None:
        """The run begins; see `Journal.begin`."""
        self._journal.begin(self._run, clock)

    def end(self, state: str, answer: str | None) -> None:
        """It ended."""
        self._journal.end(self._run, state, answer)

    def add_operation(self, digest: str, operation: Generate) -> None:
        """Note what samples are asked for."""
        self._journal.add_operation(self._run, digest, operation)

    def add_sent(self, key: Key, digest: str, prompt: int, completion: int, usd: float | None) -> None:
        """Append that an attempt left; see `Journal.add_sent`."""
        self._journal.add_sent(self._run, key, digest, prompt, completion, usd)

    def add_sample(self, row: Row) -> None:
        """Append a sample's row."""
        self._journal.add_sample(self._run, row)

    def add_outcome(self, key: Key, kind: str, digest: str, value: object) -> None:
        """Append the outcome of another operation (plain JSON)."""
        self._journal.add_outcome(self._run, key, kind, digest, value)

    def commit(self) -> None:
        """Write all of it now. Raises JournalDamaged."""
        self._journal.flush()


def _mismatch(key: Key) -> JournalMismatch:
    return JournalMismatch(
        f"the journal's {key} was another operation: the strategy's code, its prompts or its settings changed since; "
        "take a new journal",
        field="code",
    )
