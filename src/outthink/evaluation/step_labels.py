"""Scored steps and whether they were good, read from a pool: what maps from scores to chances are fitted to and checked on.

A pool holds scores of answers so far (a search's journal, exported) or of all steps of whole answers (`step_scores`). Whether a
step was good says the task's exact `value`, or what became of the answers that went on from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from outthink.backends.played import RecordedSample
from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem
from outthink.core.sample import Finish
from outthink.core.step import Steps
from outthink.evaluation.estimators import Floats
from outthink.evaluation.pool import VERIFIER, Pool

TRUTHS = ("value", "outcomes")


@dataclass(frozen=True, eq=False)
class StepLabels:
    """Scored steps of many problems; one row per step that was scored.

    problem: (N,) which one, from 0;  depth: (N,) number of steps, from 1;  score: (N,) finite
    good:    (N,) in [0, 1]: whether, or how often, the answer so far can still come right
    verifier, truth: who scored, and who says what is good
    """

    problem: NDArray[np.int64]
    depth: NDArray[np.int64]
    score: Floats
    good: Floats
    verifier: str
    truth: str

    def part(self, chosen: NDArray[np.bool_]) -> StepLabels:
        """Some of the rows."""
        columns = {name: getattr(self, name)[chosen] for name in ("problem", "depth", "score", "good")}
        return replace(self, **columns)


def labelled(pool: Pool, task: Any, *, verifier: str = "", truth: str = "") -> StepLabels:
    """The scored steps of one model's pool.

    verifier: who scored, where the pool doesn't say; without its aggregation
    truth:    "value": the task's own `value`, which "" stands for where there is one. "outcomes": the share of right ones among
              the whole answers that begin so: unbiased where all were drawn plainly, too high where a search chose among them

    Raises BadInput where nothing is scored or the scores are no step's, UnknownName.
    """
    where, value = f"pool {pool.name}", getattr(task, "value", None)
    truth = truth or ("value" if callable(value) else "outcomes")
    if truth not in TRUTHS:
        raise UnknownName("truth", truth, TRUTHS)
    if truth == "value" and not callable(value):
        raise BadInput(f"task {task.name} can't say what an answer so far is worth; label by outcomes", where=where)
    pool.one_model()
    name, rule = verifier or _scorer(pool), getattr(task, "steps", None) or Steps()
    rows: list[tuple[int, int, float, float]] = []
    for at, problem in enumerate(pool.problems):
        samples = pool.samples(problem.id)
        grades = pool.rows(problem.id)["correct"].to_list()
        if truth == "value" and callable(value):
            worth = _by_value(value, problem)
        else:
            worth = _by_outcomes(samples, grades, problem, rule)
        for text, score in chain.from_iterable(_scored(sample, rule, where) for sample in samples):
            good = worth(text)
            if good is not None:
                rows.append((at, len(rule.split(text)), score, good))
    if not rows:
        raise BadInput("holds no scored step whose worth is known; record a search with a process verifier", where=where)
    table = np.asarray(rows, dtype=np.float64)
    if bool(np.any((table[:, 3] < 0) | (table[:, 3] > 1))):
        raise BadInput(f"task {task.name} gave a value outside [0, 1]", where=where)
    return StepLabels(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2], table[:, 3], name, truth)


def _scorer(pool: Pool) -> str:
    """The verifier behind the scores, if they are those of the last step."""
    name = pool.metadata.get(VERIFIER, "")
    base, last, settings = name.rpartition("(aggregate=")
    if not last:
        raise BadInput("doesn't say which verifier scored it; name it (--verifier)", where=f"pool {pool.name}")
    if settings != "last)":
        raise BadInput(
            f"was scored by {name}; maps are fitted to scores of single steps: record with aggregate=last and no calibration",
            where=f"pool {pool.name}",
        )
    return base


def _whole(sample: RecordedSample, rule: Steps) -> str:
    """All that was said; a step holds the boundary that ended it."""
    stopped = sample.finish is Finish.STOP and bool(sample.text) and rule.boundary in sample.sampling.get("stop", ())
    return sample.prefix + sample.text + (rule.boundary or "" if stopped else "")


def _scored(sample: RecordedSample, rule: Steps, where: str) -> Iterator[tuple[str, float]]:
    """The beginnings of a sample that were scored."""
    text = _whole(sample, rule)
    if sample.step_scores:
        ends = rule.split(text)
        if len(ends) != len(sample.step_scores):
            raise BadInput(
                f"sample {sample.index} has {len(sample.step_scores)} step_scores and {len(ends)} steps as the task splits it",
                where=where,
            )
        yield from ((end, score) for end, score in zip(ends, sample.step_scores, strict=True) if score is not None)
    elif sample.score is not None:
        yield text, sample.score


def _by_value(value: Callable[[Problem, str], float], problem: Problem) -> Callable[[str], float | None]:
    known: dict[str, float] = {}

    def worth(text: str) -> float:
        if text not in known:
            known[text] = float(value(problem, text))
        return known[text]

    return worth


def _by_outcomes(
    samples: Sequence[RecordedSample], grades: list[bool | None], problem: Problem, rule: Steps
) -> Callable[[str], float | None]:
    found: dict[str, tuple[int, int]] = {}
    for sample, right in zip(samples, grades, strict=True):
        text = _whole(sample, rule)
        goes_on = text != sample.prefix + sample.text or (sample.finish is Finish.LENGTH and rule.tokens is not None)
        if right is None or (goes_on and not (rule.complete is not None and rule.complete(problem, text))):
            continue
        for end in rule.split(text):
            ended, good = found.get(end, (0, 0))
            found[end] = ended + 1, good + right
    return lambda text: found[text][1] / found[text][0] if text in found else None
