"""Rows of an evaluation: accuracy with its interval, what it cost, and the same spent plainly next to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BadInput
from outthink.evaluation.comparison import Rung, mixed
from outthink.evaluation.front import CHANCE, front
from outthink.evaluation.intervals import Interval, accuracy, difference
from outthink.evaluation.outcomes import Outcome

PLAIN = ("majority", "single")
"""What equal spending is compared with, in order of preference."""


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy at one budget. Costs are means per problem.

    problems, graded: how many ran, and of how many it is known how far they are right
    accuracy, low, high: mean credit over graded problems and its 95% interval; None where there are none
    missed:     runs that ended, with nothing offered, at what was never recorded: wrong ones, unless all are
    samples, calls, prompt_tokens, cached_tokens, completion_tokens, usd, seconds: prompt_tokens include the cached ones; usd
                is None where no price is known; seconds are the backend's, added up over what ran at once
    failed:     samples that never arrived, over all runs
    unanswered: share of runs without an answer
    unknown_tokens: tokens that may have been spent beyond the known, over all runs
    baseline:   the plain strategy that is compared with, "" where there is none
    equal:      what is equal: tokens, or samples where tokens were not recorded
    baseline_accuracy: what it gives for the same, between its own budgets linearly (a mixture of the two)
    difference, difference_low, difference_high: accuracy minus that, paired by problem, with its 95% interval
    beyond:     this is outside what the baseline was measured at; the nearest is compared
    front:      no other row has a higher accuracy for as much, nor the same for less; None: an oracle, or other problems
    front_share: of resamples of the problems in which that holds
    """

    strategy: str
    budget: str
    problems: int
    graded: int
    replicates: int
    accuracy: float | None
    low: float | None
    high: float | None
    samples: float
    calls: float
    prompt_tokens: float
    cached_tokens: float
    completion_tokens: float
    usd: float | None
    seconds: float
    failed: int
    unanswered: float
    unknown_tokens: int = 0
    oracle: bool = False
    baseline: str = ""
    equal: str = "tokens"
    baseline_accuracy: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    beyond: bool = False
    front: bool | None = None
    front_share: float | None = None
    missed: int = 0

    @property
    def tokens(self) -> float:
        """Prompt plus completion tokens per problem."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def perhaps(self) -> bool:
        """Off the front, but not for sure."""
        return self.front is False and (self.front_share or 0.0) >= CHANCE

    def fields(self) -> dict[str, Any]:
        """Plain JSON by name."""
        return {**asdict(self), "tokens": self.tokens}


@dataclass(slots=True)
class Cell:
    """All outcomes of one strategy at one budget, added up as they come: a few numbers per problem.

    credit: (sum, count) over replicates by problem
    """

    oracle: bool = False
    runs: int = 0
    failed: int = 0
    unanswered: int = 0
    missed: int = 0
    usage: Usage = NOTHING
    replicates: set[int] = field(default_factory=set)
    credit: dict[str, tuple[float, int]] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count one more run."""
        self.oracle |= outcome.oracle
        self.runs += 1
        self.failed += outcome.failed
        self.unanswered += outcome.answer is None
        self.missed += outcome.missed
        self.usage += outcome.usage
        self.replicates.add(outcome.replicate)
        total, count = self.credit.get(outcome.problem, (0.0, 0))
        if outcome.credit is None:
            self.credit.setdefault(outcome.problem, (0.0, 0))
        else:
            self.credit[outcome.problem] = total + outcome.credit, count + 1

    def spent(self, equal: str) -> float:
        """Known tokens, or samples, per run."""
        return float(getattr(self.usage, equal)) / self.runs

    def means(self) -> dict[str, float]:
        """Mean credit of each graded problem, by id: resamples then don't depend on which run ended first. None where every
        run missed: then nobody knows what the strategy would have said."""
        known = sorted(self.credit.items()) if self.missed < self.runs else []
        return {problem: min(total / count, 1.0) for problem, (total, count) in known if count}

    def fields(self) -> dict[str, Any]:
        """What comparing needs, as plain JSON: spending per run, and each problem's credit."""
        used, n = self.usage, self.runs
        spent = {"samples": used.samples / n, "tokens": used.tokens / n, "completion_tokens": used.completion_tokens / n}
        return {**spent, "usd": None if used.usd is None else used.usd / n, "oracle": self.oracle, "credit": self.means()}


Cells = Mapping[tuple[str, str], Cell]
"""Cells by (strategy, budget)."""


def rows(cells: Cells, *, baseline: str | None = None, rungs: Cells | None = None) -> list[Row]:
    """One row per strategy and budget, in their order.

    baseline: the strategy that each is compared with at equal tokens; by default the first of `PLAIN` that is there
    rungs:    further budgets, which get no rows: what comes between two rows is then compared with what was measured there

    Raises BadInput where there is no such baseline.
    """
    names = list(dict.fromkeys(strategy for strategy, _ in cells))
    if baseline is not None and baseline not in names:
        raise BadInput(f"{baseline!r} is not among {', '.join(names)}", where="baseline")
    plain = baseline or next((name for name in PLAIN if name in names), "")
    equal = "tokens" if all(cell.usage.completion_tokens for cell in cells.values() if cell.usage.samples) else "samples"
    measured = [cell for (name, _), cell in [*cells.items(), *(rungs or {}).items()] if name == plain and cell.means()]
    ladder = sorted(measured, key=lambda cell: cell.spent(equal))
    found = [_row(strategy, budget, cell, plain, ladder, equal) for (strategy, budget), cell in cells.items()]
    standings = front([Rung(cell.spent(equal), {} if cell.oracle else cell.means()) for cell in cells.values()])
    return [
        row if each is None else replace(row, front=each.on, front_share=each.share)
        for row, each in zip(found, standings, strict=True)
    ]


def remarks(found: Sequence[Row]) -> list[str]:
    """What a reader of these rows must know: missing gold answers, unknown tokens, nothing plain to compare with."""
    said, problems = [], max(row.problems for row in found)
    if all(row.accuracy is None for row in found):
        said.append("no problem has a gold answer, so nothing is known about accuracy")
    elif fewer := [row.problems - row.graded for row in found if row.graded < row.problems and not row.missed]:
        said.append(f"{max(fewer)} of {problems} problems have no gold answer and count in what was spent only")
    if all(row.unanswered == 1 for row in found):
        said.append("no run has an answer: is it the right task, and is the budget enough to come to the end of one?")
    if all(not row.completion_tokens for row in found) and any(row.samples for row in found):
        said.append("tokens were not counted, so samples stand for what was spent")
    elif any(row.unknown_tokens for row in found):
        said.append("+ more tokens may have been spent than were counted")
    if not any(row.baseline for row in found) and not any(row.strategy in PLAIN for row in found):
        said.append("no plain strategy ran: add majority to see what the same tokens give without any of these")
    return said


def distinct(found: Sequence[Row]) -> list[Row]:
    """Without the rows of a strategy that could not use a larger budget: they say what the row before them says."""
    return [
        row
        for before, row in zip([None, *found], found, strict=False)
        if before is None or replace(row, budget=before.budget) != before
    ]


def doubling(found: Sequence[Row]) -> list[Row]:
    """Of each strategy the first row, those with at least twice the samples of the one kept before, the last, and the front."""
    kept: list[Row] = []
    for at, row in enumerate(found):
        first = not kept or kept[-1].strategy != row.strategy
        last = at + 1 == len(found) or found[at + 1].strategy != row.strategy
        if first or last or row.front or row.samples >= 2 * kept[-1].samples:
            kept.append(row)
    return kept


def _row(strategy: str, budget: str, cell: Cell, plain: str, ladder: Sequence[Cell], equal: str) -> Row:
    means, n, used = cell.means(), cell.runs, cell.usage
    interval = accuracy(list(means.values())) if means else None
    row = Row(
        strategy, budget, len(cell.credit), len(means), len(cell.replicates),
        interval.value if interval else None, interval.low if interval else None, interval.high if interval else None,
        used.samples / n, used.calls / n, used.prompt_tokens / n, used.cached_tokens / n, used.completion_tokens / n,
        None if used.usd is None else used.usd / n, used.seconds / n,
        cell.failed, cell.unanswered / n, used.most_tokens - used.tokens, cell.oracle, missed=cell.missed,
    )  # fmt: skip
    if strategy == plain:
        return row
    compared = _compared(means, cell.spent(equal), ladder, equal)
    if compared is None:
        return row
    level, gap, beyond = compared
    return replace(
        row, baseline=plain, equal=equal, baseline_accuracy=level,
        difference=gap.value, difference_low=gap.low, difference_high=gap.high, beyond=beyond,
    )  # fmt: skip


def _compared(
    means: Mapping[str, float], spent: float, ladder: Sequence[Cell], equal: str
) -> tuple[float, Interval, bool] | None:
    """The baseline's accuracy for the same spending, and the paired difference with its interval, over the problems of both."""
    rungs = [rung.means() for rung in ladder]
    shared = [name for name in means if all(name in rung for rung in rungs)]
    if not rungs or not shared:
        return None
    plain, inside = mixed([Rung(cell.spent(equal), credit) for cell, credit in zip(ladder, rungs, strict=True)], spent, shared)
    gap = difference([means[name] for name in shared], plain)
    return sum(plain) / len(plain), gap, not inside
