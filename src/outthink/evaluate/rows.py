"""Rows of an evaluation: accuracy with its interval, what it cost, and the same tokens spent plainly next to it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from outthink.core.errors import BadInput
from outthink.evaluate.intervals import Interval, accuracy, difference
from outthink.evaluate.outcomes import Outcome

PLAIN = ("majority", "single")
"""What equal tokens are compared with, in order of preference."""


@dataclass(frozen=True, slots=True)
class Row:
    """One strategy at one budget. Costs are means per problem.

    accuracy, low, high: mean credit over problems and its 95% interval; None without gold answers
    samples, calls, prompt_tokens, completion_tokens, usd, seconds: usd is None where no price is known
    failed:     samples that never arrived, over all runs
    unanswered: share of runs without an answer
    unknown_tokens: tokens that may have been spent beyond the known, over all runs
    baseline:   the plain strategy that is compared with, "" where there is none
    baseline_accuracy: what it gives for the same tokens, between its own budgets linearly (a mixture of the two)
    difference, difference_low, difference_high: accuracy minus that, paired by problem, with its 95% interval
    beyond:     these tokens are outside what the baseline was measured at; the nearest is compared
    """

    strategy: str
    budget: str
    problems: int
    replicates: int
    accuracy: float | None
    low: float | None
    high: float | None
    samples: float
    calls: float
    prompt_tokens: float
    completion_tokens: float
    usd: float | None
    seconds: float
    failed: int
    unanswered: float
    unknown_tokens: int = 0
    oracle: bool = False
    baseline: str = ""
    baseline_accuracy: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    beyond: bool = False

    @property
    def tokens(self) -> float:
        """Prompt plus completion tokens per problem."""
        return self.prompt_tokens + self.completion_tokens

    def fields(self) -> dict[str, Any]:
        """Plain JSON by name."""
        return {**asdict(self), "tokens": self.tokens}


@dataclass(frozen=True, slots=True)
class _Cell:
    """All outcomes of one strategy at one budget, and their credit by problem: means over replicates."""

    outcomes: tuple[Outcome, ...]
    credit: dict[str, float]
    tokens: float


def rows(outcomes: Iterable[Outcome], *, baseline: str | None = None) -> list[Row]:
    """One row per strategy and budget, in order of appearance.

    baseline: the strategy that each is compared with at equal tokens; by default the first of `PLAIN` that is there

    Raises BadInput where there is no outcome, or no such baseline.
    """
    cells: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        cells.setdefault((outcome.strategy, outcome.budget), []).append(outcome)
    if not cells:
        raise BadInput("there is no finished run", where="evaluation")
    made = {name: _cell(found) for name, found in cells.items()}
    names = list(dict.fromkeys(strategy for strategy, _ in made))
    if baseline is not None and baseline not in names:
        raise BadInput(f"{baseline!r} is not among {', '.join(names)}", where="baseline")
    plain = baseline or next((name for name in PLAIN if name in names), "")
    ladder = sorted((cell for (name, _), cell in made.items() if name == plain), key=lambda cell: cell.tokens)
    return [_row(strategy, budget, cell, plain, ladder) for (strategy, budget), cell in made.items()]


def _cell(found: Sequence[Outcome]) -> _Cell:
    by_problem: dict[str, list[float]] = {}
    for outcome in found:
        if outcome.credit is not None:
            by_problem.setdefault(outcome.problem, []).append(outcome.credit)
    credit = {problem: math.fsum(values) / len(values) for problem, values in by_problem.items()}
    tokens = math.fsum(outcome.usage.tokens for outcome in found) / len(found)
    return _Cell(tuple(found), credit, tokens)


def _row(strategy: str, budget: str, cell: _Cell, plain: str, ladder: Sequence[_Cell]) -> Row:
    found, n = cell.outcomes, len(cell.outcomes)
    interval = accuracy(list(cell.credit.values())) if cell.credit else None
    money = [outcome.usage.usd for outcome in found]
    known = [value for value in money if value is not None]
    compared = _compared(cell, ladder) if strategy != plain else None

    def mean(name: str) -> float:
        return math.fsum(getattr(outcome.usage, name) for outcome in found) / n

    row = Row(
        strategy, budget, len({outcome.problem for outcome in found}), len({outcome.replicate for outcome in found}),
        interval.value if interval else None, interval.low if interval else None, interval.high if interval else None,
        mean("samples"), mean("calls"), mean("prompt_tokens"), mean("completion_tokens"),
        math.fsum(known) / n if len(known) == n else None,
        math.fsum(outcome.seconds for outcome in found) / n,
        sum(outcome.failed for outcome in found), sum(outcome.answer is None for outcome in found) / n,
        sum(outcome.usage.most_tokens - outcome.usage.tokens for outcome in found),
        any(outcome.oracle for outcome in found),
    )  # fmt: skip
    if compared is None:
        return row
    level, gap, beyond = compared
    return replace(
        row, baseline=plain, baseline_accuracy=level,
        difference=gap.value, difference_low=gap.low, difference_high=gap.high, beyond=beyond,
    )  # fmt: skip


def _compared(cell: _Cell, ladder: Sequence[_Cell]) -> tuple[float, Interval, bool] | None:
    """The baseline's accuracy at this cell's tokens, and the paired difference with its interval, over the problems of both."""
    shared = [name for name in cell.credit if all(name in rung.credit for rung in ladder)]
    if not ladder or not shared:
        return None
    tokens = [rung.tokens for rung in ladder]
    upper = int(np.clip(np.searchsorted(tokens, cell.tokens), 1, len(ladder) - 1)) if len(ladder) > 1 else 0
    lower = max(upper - 1, 0)
    width = tokens[upper] - tokens[lower]
    weight = min(max((cell.tokens - tokens[lower]) / width, 0.0), 1.0) if width else 0.0
    plain = [(1 - weight) * ladder[lower].credit[name] + weight * ladder[upper].credit[name] for name in shared]
    gap = difference([cell.credit[name] for name in shared], plain)
    # A percent of slack: the same samples drawn in another order cost a little more or less.
    beyond = not tokens[0] * 0.99 <= cell.tokens <= tokens[-1] * 1.01
    return math.fsum(plain) / len(plain), gap, beyond
