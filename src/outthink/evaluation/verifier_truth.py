"""What a verifier that errs can give: false positives, the ceiling they put on resampling, and when to stop resampling.

Resampling draws samples until the verifier accepts one, at most K, and then abstains (arXiv:2411.17501). Its paper weighs the
value of attempt k by the posterior of the problem's type twice, where the chance to get there belongs once:
`Mixture.values` is exact, `Mixture.published_values` is theirs, for their figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from outthink.core.errors import BadInput
from outthink.evaluation.estimators import Floats, pass_at_k
from outthink.evaluation.intervals import Interval, accuracy, wilson


@dataclass(frozen=True, slots=True)
class Audit:
    """Right answers whose whole derivation was judged: how many there are, and how many are right by luck.

    Of problems: with pass@n a problem counts as unsound where all of its right answers are.
    """

    right: int
    unsound: int

    def __post_init__(self) -> None:
        if not 0 <= self.unsound <= self.right:
            raise BadInput(f"{self.unsound} of {self.right} right answers can't be unsound", where="audit")

    @property
    def false_positive_rate(self) -> Interval | None:
        """P(unsound | answer right) with Wilson's interval; None where nothing is right, which is not 0."""
        return Interval(self.unsound / self.right, *wilson(self.unsound, self.right)) if self.right else None


def sound_accuracy(credit: ArrayLike, audit: Audit, *, seed: int = 0) -> Interval:
    """Accuracy without the answers that are right by luck: accuracy (1 - rate of false positives), arXiv:2502.06217.

    credit: (P,) of all problems, by the answer alone
    audit:  of some or all of the right ones, drawn at random

    The interval joins both: the bootstrap's of the accuracy, and the posterior of the rate under Jeffreys' prior. Where nothing
    was audited the rate may be anything. Raises BadInput for more audited answers than right ones.
    """
    known = np.asarray(credit, dtype=np.float64)
    right = float(known.sum())
    if audit.right > right + 1e-9:
        raise BadInput(f"{audit.right} right answers were audited and there are {right:g}", where="audit")
    found, rng = accuracy(known, seed=seed), np.random.default_rng(seed)
    share = audit.unsound / audit.right if audit.right else 0.0
    means = rng.multinomial(len(known), np.full(len(known), 1 / len(known)), size=4000) @ known / len(known)
    if float(np.ptp(known)) == 0.0:  # no spread to resample: the accuracy's own interval, as uniform noise
        means = rng.uniform(found.low, found.high, 4000)
    sound = means * (1 - rng.beta(audit.unsound + 0.5, audit.right - audit.unsound + 0.5, 4000))
    low, high = np.quantile(sound, [0.025, 0.975])
    value = found.value * (1 - share)
    return Interval(value, min(float(low), value), max(float(high), value))


def ceiling(accuracy: ArrayLike, completeness: float, soundness: float) -> Floats:
    """P(right | accepted) per problem: what endless resampling reaches; 0 where nothing is ever accepted.

    accuracy: chance that one sample is right;  completeness: P(accept | right);  soundness: P(reject | wrong)
    """
    right = np.asarray(accuracy, dtype=np.float64)
    accepted_right, accepted_wrong = completeness * right, (1 - soundness) * (1 - right)
    either = accepted_right + accepted_wrong
    return np.asarray(np.where(either > 0, accepted_right / np.where(either > 0, either, 1.0), 0.0), dtype=np.float64)


def resampled_value(n: ArrayLike, accepted: ArrayLike, right: ArrayLike, k: int, *, false_positive: float = 0.0) -> Floats:
    """(P,) expected value of resampling at most k times, from n recorded samples per problem, over all their orders.

    accepted, right:  (P,) how many samples the verifier accepts, and how many of those are right
    false_positive:   value of an accepted wrong answer, next to 1 for a right one and 0 for abstaining

    (1 - C(n-m, k) / C(n, k)) (t + V (m - t)) / m. Raises BadInput unless right <= accepted <= n and 1 <= k <= n.
    """
    samples, passed, true = (np.asarray(each, dtype=np.int64) for each in (n, accepted, right))
    if bool(np.any((true < 0) | (true > passed))):
        raise BadInput("a problem has more right accepted samples than accepted ones, or fewer than none", where="resampling")
    share = (true + false_positive * (passed - true)) / np.maximum(passed, 1)
    return np.asarray(pass_at_k(samples, passed, k) * share, dtype=np.float64)


@dataclass(frozen=True)
class Mixture:
    """Problems of several types, resampled against one verifier.

    shares:       how common each type is, summing to 1
    accuracies:   chance that one sample is right, by type
    completeness: P(accept | right);  soundness: P(reject | wrong)
    """

    shares: Sequence[float]
    accuracies: Sequence[float]
    completeness: float = 1.0
    soundness: float = 1.0

    def __post_init__(self) -> None:
        chances = [*self.shares, *self.accuracies, self.completeness, self.soundness]
        if len(self.shares) != len(self.accuracies) or not all(0 <= each <= 1 for each in chances):
            raise BadInput("give a share and an accuracy for each type, all between 0 and 1", where="mixture")
        if abs(sum(self.shares) - 1) > 1e-9:
            raise BadInput(f"shares sum to {sum(self.shares):g} and must sum to 1", where="mixture")

    def ceiling(self) -> float:
        """Mean accuracy of endless resampling."""
        return float(np.asarray(self.shares) @ ceiling(self.accuracies, self.completeness, self.soundness))

    def values(self, attempts: int, *, false_positive: float = 0.0, price: float = 0.0) -> Floats:
        """(attempts,) expected value of at most 1 ... attempts: right 1, wrong `false_positive`, abstain 0, less what was spent.

        price: of one attempt, in units of the value of a right answer
        """
        reached = self._reached(attempts) * np.asarray(self.shares)
        return np.asarray((reached @ (self._value(false_positive) - price)).cumsum(), dtype=np.float64)

    def published_values(self, attempts: int, *, false_positive: float = 0.0) -> Floats:
        """The same with the paper's and its notebook's chance to reach an attempt, which is too high after the first."""
        reached = self._reached(attempts)
        weight = reached * np.asarray(self.shares)
        either = weight.sum(axis=1, keepdims=True)
        posterior = np.divide(weight, either, out=np.zeros_like(weight), where=either > 0)
        return np.asarray(
            ((posterior @ self._value(false_positive)) * (reached * posterior).sum(axis=1)).cumsum(), dtype=np.float64
        )

    def false_positive_rates(self, attempts: int) -> Floats:
        """(attempts,) share of wrong ones among what is accepted at attempt 1 ... attempts: it rises, as the easy types leave."""
        right = np.asarray(self.accuracies)
        weight = self._reached(attempts) * np.asarray(self.shares)
        wrong = weight @ ((1 - self.soundness) * (1 - right))
        return np.asarray(wrong / (wrong + weight @ (self.completeness * right)), dtype=np.float64)

    def optimal_attempts(self, most: int = 10_000, *, false_positive: float = 0.0, price: float = 0.0) -> tuple[int, float]:
        """How often to sample at most, and what that is worth; (0, 0) where abstaining at once is best.

        `most` attempts stand for any number: an answer of that many says that more never hurts.
        """
        curve = self.values(most, false_positive=false_positive, price=price)
        best = most - 1 - int(curve[::-1].argmax())
        return (best + 1, float(curve[best])) if curve[best] > 0 else (0, 0.0)

    def _reached(self, attempts: int) -> Floats:
        """(attempts, types): chance that all attempts before were rejected."""
        if attempts < 1:
            raise BadInput(f"attempts is {attempts} and must be 1 or more", where="mixture")
        right = np.asarray(self.accuracies)
        rejected = (1 - self.completeness) * right + self.soundness * (1 - right)
        return np.asarray(rejected ** np.arange(attempts)[:, None], dtype=np.float64)

    def _value(self, false_positive: float) -> Floats:
        """(types,): value of one attempt."""
        right = np.asarray(self.accuracies)
        return np.asarray(self.completeness * right + false_positive * (1 - self.soundness) * (1 - right), dtype=np.float64)


def filtered(accuracy: float, false_positive_rate: float, recall: float, specificity: float) -> tuple[float, float]:
    """Sound accuracy, and share of problems answered, when a detector refuses right answers that it takes for luck.

    recall: share of unsound right answers that it refuses;  specificity: share of sound ones that it lets pass
    """
    sound = accuracy * (1 - false_positive_rate) * specificity
    return sound, sound + accuracy * false_positive_rate * (1 - recall)
