"""Is A better than B at equal cost? Two measured strategies at the same spending, paired by problem, as one sentence.

Between two budgets a strategy is a mixture of both: of every problem so much of the credit at one, so much at the other.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from outthink.core.errors import BadInput, UnknownName
from outthink.core.shown import Shown, Shows
from outthink.evaluation.intervals import Interval, difference

EQUAL = ("tokens", "samples", "usd")
"""What can be made equal, in order of preference."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A strategy at one budget: mean spending per problem, and each problem's mean credit."""

    spent: float
    credit: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison(Shows):
    """One strategy against another at equal spending.

    equal, spent: what is equal, and how much of it per problem
    problems:     how many both were graded on
    accuracy, other_accuracy: of both at that spending
    difference:   first minus second with its 95% interval
    beyond:       the names of those that were not measured at this spending; their nearest budget is compared
    oracle:       the names of those that see gold answers, as no user could
    """

    first: str
    second: str
    equal: str
    spent: float
    problems: int
    accuracy: float
    other_accuracy: float
    difference: Interval
    beyond: tuple[str, ...] = ()
    oracle: tuple[str, ...] = ()

    def __str__(self) -> str:
        gap = self.difference
        sure = gap.low > 0 or gap.high < 0
        size, ends = abs(100 * gap.value), sorted((100 * gap.low, 100 * gap.high))
        if gap.value < 0:
            ends = [-ends[1], -ends[0]]
        word = "better" if gap.value >= 0 else "worse"
        points = f"{size:.1f} points [{ends[0]:.1f}, {ends[1]:.1f}]"
        if sure:
            said = f"{self.first} is {word} than {self.second} by {points} at equal {self.equal}"
        else:
            said = f"{self.first} and {self.second} can't be told apart at equal {self.equal}: {self.first} is {word} by {points}"
        spent = f"{self.spent:.4g}" if self.spent < 1000 else f"{self.spent:,.0f}"
        unit = self.equal.removesuffix("s") if spent == "1" else self.equal
        levels = f"{100 * self.accuracy:.1f}% against {100 * self.other_accuracy:.1f}%"
        said += f" ({levels}; {spent} {unit} a problem, {self.problems} problems)"
        for names, remark in ((self.beyond, "not measured at that spending"), (self.oracle, "an oracle that sees gold answers")):
            said += f"; {' and '.join(names)}: {remark}" if names else ""
        return said

    def fields(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "sentence": str(self)}

    def to_polars(self) -> pl.DataFrame:
        """One row: its fields, the difference with the ends of its interval."""
        flat = {name: value for name, value in self.fields().items() if name not in ("difference", "beyond", "oracle")}
        gap = {"difference": self.difference.value, "low": self.difference.low, "high": self.difference.high}
        return pl.DataFrame([{**flat, **gap, "beyond": ", ".join(self.beyond), "oracle": ", ".join(self.oracle)}])

    def shown(self) -> Shown:
        """The sentence."""
        return Shown(str(self))


def compare(
    rows: Sequence[Mapping[str, Any]], first: str, second: str, *, equal: str = "", at: float | None = None
) -> Comparison:
    """Compare two strategies of an evaluation, given its rows as JSON, each with the credit of its problems.

    equal: one of `EQUAL`; "": the first of them that is known of both
    at:    the spending per problem; None: the most that both were measured at

    Raises UnknownName for a strategy that isn't there, BadInput where nothing can be compared.
    """
    for name in (first, second):
        if name not in (known := {str(row.get("strategy")) for row in rows}):
            raise UnknownName("strategy of this evaluation", name, known)
    if at is not None and not 0 < at < math.inf:
        raise BadInput(f"is {at:g} and must be above 0", where="at")
    if equal and equal not in EQUAL:
        raise UnknownName("spending", equal, EQUAL)
    both = [row for row in rows if row["strategy"] in (first, second)]
    unit = next((each for each in ([equal] if equal else EQUAL) if _known(both, each)), None)
    if unit is None:
        raise BadInput(f"{equal or 'spending'} is not known of every row of {first} and {second}", where="compare")
    ladder, other = ([_rung(row, unit) for row in both if row["strategy"] == name] for name in (first, second))
    shared = [name for name in ladder[0].credit if all(name in rung.credit for rung in (*ladder, *other))]
    if not shared:
        raise BadInput(f"no problem was graded for both {first} and {second}", where="compare")
    spent = min(max(rung.spent for rung in each) for each in (ladder, other)) if at is None else at
    means, inside = mixed(ladder, spent, shared)
    others, inside_too = mixed(other, spent, shared)
    beyond = tuple(name for name, fine in ((first, inside), (second, inside_too)) if not fine)
    oracle = tuple(name for name in (first, second) if any(row.get("oracle") for row in both if row["strategy"] == name))
    n = len(shared)
    return Comparison(first, second, unit, spent, n, sum(means) / n, sum(others) / n, difference(means, others), beyond, oracle)


def mixed(ladder: Sequence[Rung], spent: float, problems: Sequence[str]) -> tuple[list[float], bool]:
    """Each problem's credit at a spending, between the two nearest rungs linearly, and whether it lies within them.

    Outside it is the nearest rung's. A percent of slack counts as within: the same samples in another order cost a little
    more or less.
    """
    rungs = sorted(ladder, key=lambda rung: rung.spent)
    costs = [rung.spent for rung in rungs]
    upper = min(max(bisect_left(costs, spent), 1), len(costs) - 1)
    low, high = rungs[max(upper - 1, 0)], rungs[upper]
    width = high.spent - low.spent
    weight = min(max((spent - low.spent) / width, 0.0), 1.0) if width > 0 else 0.0
    credit = [(1 - weight) * low.credit[name] + weight * high.credit[name] for name in problems]
    return credit, costs[0] * 0.99 <= spent <= costs[-1] * 1.01


def _known(rows: Sequence[Mapping[str, Any]], unit: str) -> bool:
    """Whether every row says what it spent; tokens are unknown where completions were not counted."""
    counted = "completion_tokens" if unit == "tokens" else unit
    return all(isinstance(row.get(counted), int | float) and row[counted] > 0 for row in rows)


def _rung(row: Mapping[str, Any], unit: str) -> Rung:
    credit, spent, where = row.get("credit"), row.get(unit), f"{row['strategy']} at {row.get('budget')}"
    if not isinstance(credit, Mapping) or not isinstance(spent, int | float):
        raise BadInput(f"has no credit by problem, or no {unit}", where=where)
    if not all(isinstance(each, int | float) and 0 <= each <= 1 for each in credit.values()):
        raise BadInput("has a credit that is not between 0 and 1", where=where)
    return Rung(float(spent), {str(name): float(each) for name, each in credit.items()})
