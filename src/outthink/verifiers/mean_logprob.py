"""Mean log-probability of a sample's tokens as a score; negative, so weighted votes need scale="minmax"."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.parts import confidence


class MeanLogprob:
    """Scores by the model's own perplexity; None for a sample without tokens."""

    name = "mean_logprob"
    oracle = False
    logprobs: LogprobNeed | None = LogprobNeed()
    roles: frozenset[str] = frozenset()

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """At most 0; higher is surer."""
        return confidence.mean_logprob(samples).values
