"""Log-probabilities of sampled tokens, what an operation needs of them, and their summary.

Natural logarithms throughout. Backends fill `Logprobs`; journals store the arrays packed and the summary in plain.
Voting rules that use a summary live in `outthink.parts.confidence`.
"""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from outthink.core.given import whole

GROUPED = ("least_confidence", "bottom_confidence", "tail_confidence")
"""Names of the confidences of groups of tokens, in the order of `groups`."""


@dataclass(frozen=True, slots=True)
class LogprobNeed:
    """What an operation needs: `top` alternatives per token (0: the chosen token only), and whether the arrays are kept.

    keep:   False records the summary only, so that journals stay small; True records the arrays too
    window: tokens of a group, for the confidences of groups in the summary; 0: none
    first:  the alternatives of the first token by their texts too, as a sample's meta "first_token": verdicts are read there

    Raises BadInput.
    """

    top: int = 0
    keep: bool = False
    window: int = 0
    first: bool = False

    def __post_init__(self) -> None:
        whole("top", self.top, 0)
        whole("window", self.window, 0)

    def joined(self, other: LogprobNeed | None) -> LogprobNeed:
        """The least need that serves both."""
        if other is None:
            return self
        return LogprobNeed(
            max(self.top, other.top), self.keep or other.keep, self.window or other.window, self.first or other.first
        )

    def fields(self) -> list[object]:
        """Plain JSON, the same for equal needs."""
        return [self.top, self.keep, *([self.window] if self.window or self.first else []), *(["first"] if self.first else [])]


@dataclass(frozen=True, slots=True)
class Logprobs:
    """Log-probabilities of one sample of T tokens.

    chosen:     (T,) of the sampled tokens
    top:        (T * k,) of the k most probable tokens, row by row, most probable first; missing ones are -inf
    k:          alternatives per token; 0 where none were asked for
    vocabulary: size of the model's vocabulary, or 0 where it isn't known
    """

    chosen: array[float]
    top: array[float]
    k: int = 0
    vocabulary: int = 0

    def __post_init__(self) -> None:
        if len(self.top) != len(self.chosen) * self.k:
            raise ValueError(f"{len(self.top)} alternatives are not {len(self.chosen)} rows of {self.k}")

    def __len__(self) -> int:
        return len(self.chosen)

    def row(self, token: int) -> array[float]:
        """The alternatives of one token, most probable first."""
        return self.top[token * self.k : (token + 1) * self.k]

    def confidences(self) -> list[float]:
        """-mean(log p) over the k alternatives of each token (DeepConf, arXiv:2508.15260, eq. 2), surer when higher; tokens
        whose alternatives are all missing have none."""
        rows = ([value for value in self.row(token) if value > -math.inf] for token in range(len(self) if self.k else 0))
        return [-math.fsum(row) / len(row) for row in rows if row]

    def summary(self, window: int = 0) -> dict[str, float]:
        """The numbers that selection rules use; empty for a sample without tokens.

        mean_logprob, sum_logprob, min_logprob: of the chosen tokens
        token_confidence: mean over tokens of -mean(log p) over the k alternatives (DeepConf, arXiv:2508.15260, eq. 2)
        self_certainty:   mean over tokens of KL(uniform || p) (arXiv:2502.18581, eq. 8), the mass outside the k alternatives
                          spread evenly over the rest of the vocabulary; given only where its size is known
        least_confidence, bottom_confidence, tail_confidence: see `groups`; where a window is given
        """
        if not self.chosen:
            return {}
        try:
            total = math.fsum(self.chosen)
        except OverflowError:  # a server may send anything that is not above 0
            total = -math.inf
        found = {"mean_logprob": total / len(self), "sum_logprob": total, "min_logprob": min(self.chosen)}
        if self.k:
            rows = [[value for value in self.row(token) if value > -math.inf] for token in range(len(self))]
            filled = [row for row in rows if row]
            if filled:
                found["token_confidence"] = math.fsum(-math.fsum(row) / len(row) for row in filled) / len(filled)
                if self.vocabulary >= self.k:
                    certainty = (self_certainty(row, self.vocabulary) for row in filled)
                    found["self_certainty"] = math.fsum(certainty) / len(filled)
                if window:
                    found |= groups(self.confidences(), window)
        return found


def groups(confidences: Sequence[float], window: int) -> dict[str, float]:
    """Confidences of groups of `window` tokens, one group ending at each token from the window's own length on
    (DeepConf, arXiv:2508.15260, section 3.1); a sample shorter than the window is one group.

    least_confidence: of the least sure group;  bottom_confidence: mean of the least sure tenth of all groups
    tail_confidence:  of the last group
    """
    sums = [0.0, *itertools.accumulate(confidences)]
    width = min(window, len(confidences))
    means = [(after - before) / width for before, after in zip(sums, sums[width:], strict=False)]
    tail, means = means[-1], sorted(means)
    bottom = means[: max(1, len(means) // 10)]
    return dict(zip(GROUPED, (means[0], math.fsum(bottom) / len(bottom), tail), strict=True))


def self_certainty(row: list[float], vocabulary: int) -> float:
    """KL(uniform || p) of one token, from its most probable log-probabilities: 0 for a uniform p, more when sharper."""
    rest = vocabulary - len(row)
    total = math.fsum(row)
    if rest > 0:
        # Rounded alternatives can sum to a little over 1: the tail then keeps a mass that no float32 softmax goes below.
        tail = max(1.0 - math.fsum(map(math.exp, row)), 1e-9)
        total += rest * math.log(tail / rest)
    return -total / vocabulary - math.log(vocabulary)
