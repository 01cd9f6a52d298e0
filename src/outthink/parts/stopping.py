"""When votes are settled: how sure it is, from the votes of each answer class, that the leading class would stay ahead.

Pure rules over counts; drawing samples until one of them is content is `outthink.parts.drawing`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from outthink.core.errors import BadInput, UnknownName

TOP_CLASSES = 5
"""Classes that the Dirichlet rule compares, as in the official code."""
_INTERVALS = 600


def beta(counts: Sequence[int]) -> float:
    """Chance that the leader beats the runner-up: 1 - I_{1/2}(v1 + 1, v2 + 1) (arXiv:2305.11860, eq. 1), summed exactly."""
    first, second = (*_sorted(counts), 0, 0)[:2]
    trials = first + second + 1
    return 1 - sum(math.comb(trials, k) for k in range(first + 1, trials + 1)) / 2**trials if first else 0.0


def dirichlet(counts: Sequence[int]) -> float:
    """Chance that the leader is the most probable of the top 5 classes, under Dirichlet(counts + 1).

    The official code integrates by Monte Carlo; this is the integral itself (see `leads`). Two classes or one: `beta`.
    """
    top = _sorted(counts)[:TOP_CLASSES]
    return beta(top) if len(top) < 3 else leads(tuple(count + 1 for count in top))


def crp(counts: Sequence[int]) -> float:
    """Chance that the leader outweighs every other class and everything not seen yet, in a Chinese restaurant process.

    Masses are Dirichlet(counts, 1): a concentration of 1, and what is unseen counts as one rival. The paper names the process
    and its code holds none, so this form is ours.
    """
    top = _sorted(counts)
    return leads((*top, 1)) if top else 0.0


def entropy(counts: Sequence[int]) -> float:
    """1 - H / log m for m classes, as the official code takes it: a single class counts as having one vote against it."""
    votes = _sorted(counts)
    if sum(votes) < 2:
        return 0.0
    votes = [*votes, 1] if len(votes) == 1 else votes
    total = sum(votes)
    return 1 + math.fsum(count / total * math.log(count / total) for count in votes) / math.log(len(votes))


def share(counts: Sequence[int]) -> float:
    """Share of the votes that the leader has; one vote alone says nothing."""
    votes = _sorted(counts)
    return votes[0] / sum(votes) if sum(votes) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """How sure the votes are, and from where on that is enough."""

    sure: Callable[[Sequence[int]], float]
    threshold: float


RULES: Mapping[str, Rule] = {
    "beta": Rule(beta, 0.95),
    "dirichlet": Rule(dirichlet, 0.95),
    "crp": Rule(crp, 0.95),
    "entropy": Rule(entropy, 0.25),  # a normalised entropy of 0.75 or less
    "share": Rule(share, 0.8),
}
"""By name, with the thresholds of the official code."""


def rule(name: str, threshold: float | None, who: str) -> Rule:
    """The rule of that name with a threshold of one's own (None: its usual one). Raises UnknownName."""
    if name not in RULES:
        raise UnknownName(f"rule of {who}", name, RULES)
    return RULES[name] if threshold is None else Rule(RULES[name].sure, threshold)


@lru_cache(maxsize=65536)
def leads(shapes: tuple[int, ...]) -> float:
    """Chance that the first of a Dirichlet's masses is the greatest. shapes: its whole positive parameters.

    Masses are gammas over their sum, so this is the integral of the first gamma's density times the others' distribution
    functions, by Simpson's rule: right to six digits.
    """
    if not shapes or min(shapes) < 1:
        raise BadInput(f"{shapes} must be whole numbers, 1 or more", where="leads")
    first, rivals = shapes[0], shapes[1:]
    spread = 12 * math.sqrt(first) + 12
    low, high = max(0.0, first - spread), first + spread
    width, total = (high - low) / _INTERVALS, 0.0
    for at in range(_INTERVALS + 1):
        x = low + at * width
        weight = 1 if at in (0, _INTERVALS) else 4 if at % 2 else 2
        density = math.exp((first - 1) * math.log(x) - x - math.lgamma(first)) if x > 0 else float(first == 1)
        total += weight * density * math.prod(_below(shape, x) for shape in rivals)
    return min(total * width / 3, 1.0)


def _below(shape: int, x: float) -> float:
    """Distribution function of a gamma with a whole shape."""
    term = tail = math.exp(-x)
    for k in range(1, shape):
        term *= x / k
        tail += term
    return max(1.0 - tail, 0.0)


def _sorted(counts: Sequence[int]) -> list[int]:
    return sorted((count for count in counts if count > 0), reverse=True)


# Early-stopping self-consistency (arXiv:2401.10480)


def expected_samples(probabilities: Sequence[float], window: int, most: int) -> float:
    """Samples that stopping at the first unanimous window is expected to take, of at most `most` (a multiple of `window`).

    probabilities: of each answer
    """
    agree = math.fsum(p**window for p in probabilities)
    windows = most // window
    early = math.fsum(agree * (1 - agree) ** at * (at + 1) for at in range(windows - 1))
    return window * (early + (1 - agree) ** (windows - 1) * windows)


def window_risk(probabilities: Sequence[float], window: int) -> float:
    """Bound on the chance that a window is unanimous for another answer than the most probable one, by the official code's normal
    approximation: the sum of 1 - Phi((w - w p) / sqrt(w p (1 - p))) over the other answers."""
    others = sorted(probabilities, reverse=True)[1:]
    scaled = (math.sqrt(window * (1 - p) / p) for p in others if 0 < p < 1)
    return math.fsum(0.5 * math.erfc(z / math.sqrt(2)) for z in scaled)


def safe_window(probabilities: Sequence[float], risk: float, windows: Sequence[int]) -> int:
    """The smallest window whose risk is at most `risk`; the largest where none is."""
    return next((window for window in sorted(windows) if window_risk(probabilities, window) <= risk), max(windows))


# Saturation (arXiv:2505.20522)


def expected_gain(solved: float, missed: float, n: int, ceiling: float = 1.0) -> float:
    """What sample n + 1 is expected to add: ceiling E[p (1 - p)^n] for p ~ Beta(solved, missed), so ceiling
    B(solved + 1, missed + n) / B(solved, missed). Sharp counts give TTSPM's ceiling p (1 - p)^n. Raises BadInput for counts that
    aren't above 0."""
    if min(solved, missed) <= 0 or n < 0:
        raise BadInput(f"solved = {solved}, missed = {missed} must be above 0 and n = {n} not below", where="expected_gain")
    return ceiling * math.exp(_log_beta(solved + 1, missed + n) - _log_beta(solved, missed))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
