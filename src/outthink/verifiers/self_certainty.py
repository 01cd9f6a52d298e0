"""Self-certainty as a score (arXiv:2502.18581): how far the model's token distributions are from uniform."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.given import whole
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.parts import confidence


class SelfCertainty:
    """Scores by the approximated form of `outthink.parts.confidence.self_certainty`; None for a sample without tokens.

    top: alternatives per token that are asked for, 1 or more. Raises BadInput
    """

    oracle = False
    roles: frozenset[str] = frozenset()

    def __init__(self, top: int = 20) -> None:
        whole("self_certainty.top", top, 1)
        self.name = f"self_certainty(top={top})"
        self.logprobs: LogprobNeed | None = LogprobNeed(top=top)

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """Higher is surer."""
        return confidence.self_certainty(samples).values
