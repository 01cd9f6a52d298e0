"""A model's confidence in its own samples, read from the log-probability summaries that came with them.

How the numbers are computed is in `outthink.core.logprobs`; what to do with them in `outthink.parts.weights`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from outthink.core.errors import PoolMiss, UnknownName
from outthink.core.operation import Partial
from outthink.core.sample import Sample


@dataclass(frozen=True, slots=True)
class Reading:
    """One number per sample, higher is surer; None where the sample has none.

    form: the summary they are all taken from ("self_certainty", "token_confidence", "mean_logprob"), or "" where no sample
          had any; numbers of two forms are never mixed, for their scales differ
    """

    values: list[float | None]
    form: str


def reading(samples: Sequence[Sample], *forms: str) -> Reading:
    """The first of `forms` that every sample with a summary has; samples without tokens, and so without a summary, have None."""
    summaries = [sample.summary for sample in samples]
    for form in forms:
        if any(summaries) and all(form in summary for summary in summaries if summary):
            return Reading([summary.get(form) for summary in summaries], form)
    return Reading([None] * len(summaries), "")


def self_certainty(samples: Sequence[Sample]) -> Reading:
    """KL(uniform || p) per token (arXiv:2502.18581, eq. 8), or its approximation.

    Servers give the k most probable tokens only. Where the size of the vocabulary is known the rest of the mass is spread
    evenly over it (form "self_certainty"); where not, the mean of -log p over the k stands in ("token_confidence", DeepConf,
    arXiv:2508.15260), which orders samples alike in practice but isn't equal.
    """
    return reading(samples, "self_certainty", "token_confidence")


FORMS = {"mean": "token_confidence", "tail": "tail_confidence", "bottom": "bottom_confidence", "least": "least_confidence"}
"""How DeepConf (arXiv:2508.15260) reads a sample: all of it, its end, its least sure tenth of groups, its least sure group."""


def grouped(samples: Sequence[Sample], form: str, who: str) -> list[float | None]:
    """Each sample's confidence in one of `FORMS`. Raises UnknownName; PoolMiss where a recording lacks what this form needs."""
    if form not in FORMS:
        raise UnknownName(f"form of confidence of {who}", form, FORMS)
    found = reading(samples, FORMS[form])
    if not found.form and any(sample.tokens for sample in samples):
        raise PoolMiss(f"{who} reads the {form} confidence of samples, and these hold none; record it, or run it live")
    return found.values


@dataclass(frozen=True, slots=True)
class Unsure:
    """A rule beside a stream: true once the last `window` tokens together are less sure than `threshold`."""

    window: int
    threshold: float

    def __call__(self, partial: Partial) -> bool:
        recent = partial.confidences[-self.window :]
        return len(recent) == self.window and math.fsum(recent) < self.threshold * self.window


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies, between neighbours in a straight line. values: not empty, in any order."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = min(math.floor(at), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def surest(values: Sequence[float | None], keep: float) -> list[float | None]:
    """The values of the surest share `keep`, None for the others."""
    known = [value for value in values if value is not None]
    least = quantile(known, 1 - keep) if known else 0.0
    return [value if value is not None and value >= least else None for value in values]


def mean_logprob(samples: Sequence[Sample]) -> Reading:
    """Mean log-probability of the sampled tokens: the logarithm of one over the perplexity."""
    return reading(samples, "mean_logprob")
