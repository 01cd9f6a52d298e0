"""Whether confidence means what it says: calibration errors and the risk that is left when the unsure abstain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import Floats


def brier(confidence: ArrayLike, right: ArrayLike) -> float:
    """Mean squared distance of confidence from truth (Brier 1950): 0 is perfect, always saying 0.5 gives 0.25.

    confidence: (N,) in [0, 1];  right: (N,) in [0, 1], fractional where ties share the credit
    """
    said, true = _checked(confidence, right, chances=True)
    return float(((said - true) ** 2).mean())


def expected_calibration_error(confidence: ArrayLike, right: ArrayLike, *, bins: int = 10) -> float:
    """Mean |accuracy - confidence| over bins of equal width, each weighted by its answers (arXiv:1706.04599).

    A confidence on a border counts in the bin below it, as there. It is biased upwards where bins hold few answers.
    """
    said, true = _checked(confidence, right, chances=True)
    if bins < 1:
        raise BadInput(f"bins is {bins} and must be 1 or more", where="calibration")
    within = np.clip(np.ceil(said * bins).astype(np.int64) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(within, true - said)).sum() / len(said))


@dataclass(frozen=True, eq=False)
class Abstention:
    """What is left when only the most confident are answered; one point per distinct confidence, which stand or fall together.

    coverage:  (T,) share that is answered, ascending to 1
    risk:      (T,) share of those that is wrong
    threshold: (T,) the least confidence that still answers
    answers:   how many there are
    """

    coverage: Floats
    risk: Floats
    threshold: Floats
    answers: int

    @property
    def area(self) -> float:
        """Area under the risk-coverage curve (arXiv:1805.08206): the mean risk over all coverages; ties in random order.

        Within a block of equal confidence wrong answers come evenly, so the errors so far grow linearly with coverage.
        """
        total, errors, answered = 0.0, 0.0, 0
        for coverage, risk in zip(self.coverage, self.risk, strict=True):
            upto = round(coverage * self.answers)
            wrong = risk * upto
            more = np.arange(1, upto - answered + 1)
            total += float(((errors + (wrong - errors) * more / len(more)) / (answered + more)).sum())
            errors, answered = wrong, upto
        return total / self.answers

    def coverage_at(self, risk: float) -> float:
        """The largest share that can be answered with at most this risk; 0 where there is none."""
        return float(self.coverage[self.risk <= risk + 1e-12].max(initial=0.0))


def abstention(confidence: ArrayLike, right: ArrayLike) -> Abstention:
    """The risk-coverage curve of answering only above a threshold. Confidence may be any number, such as a score."""
    said, true = _checked(confidence, right, chances=False)
    order = np.argsort(-said, kind="stable")
    said, wrong = said[order], 1.0 - true[order]
    last: NDArray[np.intp] = np.append(np.nonzero(np.diff(said))[0], len(said) - 1)
    answered = last + 1
    return Abstention(answered / len(said), wrong.cumsum()[last] / answered, said[last], len(said))


def _checked(confidence: ArrayLike, right: ArrayLike, *, chances: bool) -> tuple[Floats, Floats]:
    said, true = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if said.ndim != 1 or said.shape != true.shape or not len(said):
        raise BadInput(f"{said.shape} and {true.shape} are not one number per answer each", where="calibration")
    if bool(np.any(~np.isfinite(said))) or (chances and bool(np.any((said < 0) | (said > 1)))):
        raise BadInput("confidence must be finite" + (" and between 0 and 1" if chances else ""), where="calibration")
    if not bool(np.all((true >= 0) & (true <= 1))):
        raise BadInput("credit must lie between 0 and 1", where="calibration")
    return said, true
