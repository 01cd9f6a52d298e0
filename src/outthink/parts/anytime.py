"""Drawing samples so that there is always an answer to give: room for the verifier, offers on the way, offers at a cut."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from outthink.core.budget import NOTHING, Budget, Usage
from outthink.core.errors import BackendError, BudgetCut, NoAnswer, RunError
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample, Samples
from outthink.core.selection import Selection
from outthink.core.task import Answer
from outthink.parts.voting import growing


async def drawn_to_score(run: Run, problem: Problem, n: int | None, *, judged: bool = False, **how: Any) -> Samples:
    """Samples that are to be scored; where n is None and scoring makes calls of its own they fill half of what is left.

    judged: a judge's calls of the strategy itself follow
    """
    if n is None and (judged or run.scoring_calls):
        half = {name: math.ceil(limit / 2) if isinstance(limit, int) else limit / 2 for name, limit in run.left.limits().items()}
        run = run.child(Budget(**half))  # type: ignore[arg-type]  # names and kinds are a budget's own
    return await run.generate(problem, n, **how)


async def scored(run: Run, problem: Problem, samples: Sequence[Sample], answers: Sequence[Answer]) -> list[float | None]:
    """The samples' scores. Where they can't be had, the plain majority is offered and the reason raised.

    Raises NoAnswer where no valid answer got a score, and whatever scoring raises.
    """
    try:
        scores = await run.score(problem, samples)
        valid = [score for answer, score in zip(answers, scores, strict=True) if answer.valid]
        if valid and not any(score is not None for score in valid):
            raise NoAnswer(f"the verifier scored none of {len(valid)} valid answers; the answer is their majority")
    except (BudgetCut, RunError, BackendError):
        *_, majority = growing(samples, answers)
        run.offer(majority)
        raise
    return scores


def offered(run: Run, samples: Samples, selections: Iterable[Selection]) -> Selection:
    """Offer the choice after each sample and return the last one.

    The offer after k samples is charged with these k, and k/n of what the run spent beyond all n (a verifier, samples that
    failed), whole numbers rounded up.
    """
    beyond = _beyond(run.spent, sum((sample.usage for sample in samples), NOTHING))
    more = any(beyond.fields().values())
    prefix, chosen = NOTHING, Selection(None)
    for k, (sample, chosen) in enumerate(zip(samples, selections, strict=True), start=1):
        prefix += sample.usage
        run.offer(chosen, spent=prefix + _part(beyond, k / len(samples)) if more else prefix)
    return chosen


def _beyond(total: Usage, known: Usage) -> Usage:
    def over(whole: float | None, part: float | None) -> float | None:
        # Sums of floats in another order can differ by a rounding error: never below nothing.
        return None if whole is None or part is None else max(whole - part, 0)

    pairs = zip(total.fields().items(), known.fields().values(), strict=True)
    return Usage(**{name: over(whole, part) for (name, whole), part in pairs})  # type: ignore[arg-type]  # kinds are kept


def _part(usage: Usage, fraction: float) -> Usage:
    def part(value: float | None) -> float | None:
        return math.ceil(value * fraction) if isinstance(value, int) else None if value is None else value * fraction

    return Usage(**{name: part(value) for name, value in usage.fields().items()})  # type: ignore[arg-type]  # kinds are kept
