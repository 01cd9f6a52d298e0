"""From finished runs to graded points: what each run answered at each spending, and whether that was right.

One run gives its whole curve: the answer at a budget is the last one it offered within it. Means and intervals over
points are `outthink.evaluation.rows`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from outthink.core.budget import Budget, Usage
from outthink.core.problem import Problem
from outthink.core.selection import Result, Selection
from outthink.core.task import Task

Grades = Mapping[str, bool]
"""Whether each answer (or answer class) of one problem is right."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run's answer at one budget.

    budget:    the budget in words ("16 samples"), or "no limit"
    replicate: which of several runs of this strategy on this problem
    credit:    1 right, 0 wrong, between where tied classes share it; None: there is no gold answer
    usage:     what the answer took
    failed:    samples that never arrived
    reason:    why there is no answer, or ""
    missed:    a replay asked for what was never recorded before it had offered anything
    """

    strategy: str
    budget: str
    problem: str
    replicate: int
    answer: str | None
    credit: float | None
    usage: Usage
    failed: int = 0
    reason: str = ""
    oracle: bool = False
    missed: bool = False


def within(usage: Usage, budget: Budget) -> bool:
    """Whether this was spent inside the budget. Seconds are not looked at: an offer's seconds are work, not wall time."""
    spent = {**usage.fields(), "tokens": usage.tokens}
    return all(
        (have := spent[name]) is not None and have <= limit + 1e-9 for name, limit in budget.limits().items() if name != "seconds"
    )


def at_budget(result: Result, budget: Budget | None) -> tuple[Selection | None, Usage]:
    """What the run would have answered had it been given this budget: its last offer within it, and what that took.

    None: what it answered in the end. Exact for strategies whose offers don't depend on the budget they were given. A run that
    had offered nothing by then had spent the budget all the same, on what it spent all of it on.
    """
    if budget is None or within(result.usage, budget):
        return result.selection, result.usage
    inside = [offer for offer in result.offers if within(offer.usage, budget)]
    return (inside[-1].selection, inside[-1].usage) if inside else (None, _part(result.usage, budget))


def _part(usage: Usage, budget: Budget) -> Usage:
    """A usage in proportion, so that it just fits a budget that it exceeds."""
    spent = {**usage.fields(), "tokens": usage.tokens}
    over = [limit / have for name, limit in budget.limits().items() if name != "seconds" and (have := spent[name] or 0) > limit]
    share = min(over, default=1.0)
    counts = [round(count * share) for count in usage[:8]]
    return Usage(*counts)._replace(usd=None if usage.usd is None else usage.usd * share, seconds=usage.seconds * share)


def classes_of(selection: Selection) -> list[str]:
    """The answers that share the credit: the chosen one, all classes of the highest weight where they are tied, or all that
    were handed in."""
    if selection.answer is None:
        return []
    if len(selection.submissions) > 1:
        return list(selection.submissions)
    if selection.tie and selection.votes:
        most = max(selection.votes.values())
        tied = [name for name, weight in selection.votes.items() if math.isclose(weight, most, rel_tol=1e-12)]
        if len(tied) > 1:
            return tied
    return [selection.answer]


def credit(selection: Selection | None, grades: Grades) -> float:
    """Fractional credit: the share of right classes among the tied ones; nothing for no answer. Of several answers that were
    handed in together one right one is enough (pass@k of a selector).

    An offer on the way may say that it is tied and not with what; then the class that the tie rule chose counts. Over random
    orders of the samples its expected credit is the same.
    """
    shared = classes_of(selection) if selection is not None else []
    if selection is not None and len(selection.submissions) > 1:
        return float(any(grades[name] for name in shared))
    return sum(grades[name] for name in shared) / len(shared) if shared else 0.0


async def grades(task: Task, problem: Problem, result: Result, known: Grades) -> dict[str, bool]:
    """Grades, beyond the known ones, of everything that this run may get credit for; none without a gold answer."""
    if problem.gold is None:
        return {}
    selections = [offer.selection for offer in result.offers]
    selections += [result.selection] if result.selection is not None else []
    answers = list(dict.fromkeys(name for selection in selections for name in classes_of(selection) if name not in known))
    return dict(zip(answers, await task.grade(problem, answers), strict=True)) if answers else {}


def outcomes(
    result: Result,
    problem: Problem,
    graded: Grades,
    *,
    budgets: Sequence[Budget | None] = (None,),
    label: str = "",
    replicate: int = 0,
    oracle: bool = False,
) -> list[Outcome]:
    """One outcome of a run per budget (None: all that it had).

    label: what to call the strategy, where its name doesn't tell it from another row
    """
    made = []
    for budget in budgets:
        selection, usage = at_budget(result, budget)
        answer = selection.answer if selection is not None else None
        reason = "" if answer is not None else result.reason or "nothing was offered within the budget"
        missed = result.missed and selection is None
        made.append(
            Outcome(
                label or result.strategy, str(budget) if budget is not None else "no limit", problem.id, replicate, answer,
                None if problem.gold is None else credit(selection, graded), usage, len(result.failed), reason, oracle, missed,
            )
        )  # fmt: skip
    return made
