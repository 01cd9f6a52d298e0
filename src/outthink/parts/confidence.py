"""A model's confidence in its own samples, read from the log-probability summaries that came with them.

How the numbers are computed is in `outthink.core.logprobs`; what to do with them in `outthink.parts.weights`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def mean_logprob(samples: Sequence[Sample]) -> Reading:
    """Mean log-probability of the sampled tokens: the logarithm of one over the perplexity."""
    return reading(samples, "mean_logprob")
