"""What came of one Generate, sample by sample: rows that a journal held, then those that arrive. Nothing is asked for here."""

from __future__ import annotations

from dataclasses import dataclass

from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BudgetCut, Cut, OutthinkError, QuorumNotMet
from outthink.core.operation import Generate
from outthink.core.sample import Failure, Sample, Samples
from outthink.runtime.rows import Row

HOPELESS_RUN = 8
"""A Generate that fills its budget gives up after so many failures in a row: each would cost calls for nothing."""


@dataclass(slots=True)
class Generated:
    """What came of a Generate: everything that arrived, and the error to raise if that isn't enough."""

    samples: Samples
    error: OutthinkError | Cut | None = None

    @property
    def usage(self) -> Usage:
        """What all of it cost."""
        usages = [sample.usage for sample in self.samples.items] + [failure.usage for failure in self.samples.failed]
        return usages[0] if len(usages) == 1 else sum(usages, NOTHING)


class Arrivals:
    """Rows by the index of their sample.

    end:      the first sample that is not asked for; None: not known yet
    cut:      the budget that kept a sample from being asked for
    hopeless: the operation fills a budget, and so many failures in a row say that it can't
    """

    def __init__(self, operation: Generate) -> None:
        self._operation = operation
        self.rows: dict[int, Row] = {}
        self.end = operation.n
        self.cut: BudgetCut | None = None
        self.hopeless = False
        self._failures = 0

    def take(self, row: Row) -> None:
        """Take a final row that a journal held."""
        self.rows[row.index] = row
        self.cut = self.cut or row.cut
        if row.state == "refused":
            self.end = row.index

    def add(self, row: Row) -> None:
        """Take a final row that arrives now."""
        self.take(row)
        self._failures = self._failures + 1 if row.state == "failed" else 0
        self.hopeless = self.hopeless or (self._operation.n is None and self._failures >= HOPELESS_RUN)

    def collected(self, run: str) -> Generated:
        """All of it as a strategy of this run is told."""
        operation, rows = self._operation, self.rows
        ordered = [rows[index] for index in sorted(rows)]
        outcomes = [row.outcome(run) for row in ordered if row.state != "refused"]
        items = tuple(each for each in outcomes if isinstance(each, Sample))
        failed = tuple(each for each in outcomes if isinstance(each, Failure))
        # Filling a budget of samples is what was asked for, not a cut; other limits depend on what the samples took.
        filled = operation.n is None and self.cut is not None and self.cut.dimension == "samples"
        most = operation.sampling.max_tokens
        clipped = any(row.finish == "length" and row.max_tokens < most for row in ordered)
        samples = Samples(items, failed, clipped or (self.cut is not None and not filled))
        if len(items) >= operation.quorum:
            return Generated(samples)
        if self.cut is not None and not items:
            return Generated(samples, self.cut)
        return Generated(samples, QuorumNotMet(operation.quorum, items, [each.reason for each in failed]))
