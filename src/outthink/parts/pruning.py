"""Which samples are too unsure to be heard, by the model's own probability of them (reasoning pruning of RPC).

Every rule takes one sureness per sample, above 0, higher is surer (None is not looked at), and says which samples stay. A rule
only ever drops samples below the mean, so that something always stays. Counting votes lives in `outthink.parts.voting`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from outthink.parts import weibull

Sureness = Sequence[float | None]


def by_mixture(sureness: Sureness) -> list[bool]:
    """RPC's rule (arXiv:2510.15444): a sample goes where it is below the mean and more likely from the lower of two Weibulls."""
    found = [each for each in sureness if each is not None]
    mixture = weibull.fitted(found)
    if mixture is None:
        return [True] * len(sureness)
    mean = math.fsum(found) / len(found)
    return [each is None or each >= mean or mixture.is_high(each) for each in sureness]


def by_mean(sureness: Sureness) -> list[bool]:
    """Everything below the mean goes: the simple rule that takes no fit."""
    found = [each for each in sureness if each is not None]
    mean = math.fsum(found) / len(found) if found else 0.0
    # The mean of equal numbers may be a rounding error above them.
    return [each is None or each >= mean or math.isclose(each, mean, rel_tol=1e-12) for each in sureness]


def none(sureness: Sureness) -> list[bool]:
    """Everything stays: perplexity consistency alone."""
    return [True] * len(sureness)


RULES: dict[str, Callable[[Sureness], list[bool]]] = {"mixture": by_mixture, "mean": by_mean, "none": none}
