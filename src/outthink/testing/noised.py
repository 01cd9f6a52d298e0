"""A process verifier made worse on purpose: what the quality of a verifier buys can then be measured."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.errors import BadInput
from outthink.core.key import hashed
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.verifier import Verifier


class Noised:
    """Another verifier whose scores in [0, 1] are flipped (1 - score) with a probability, the same each time for the same text.

    Raises BadInput.
    """

    def __init__(self, verifier: Verifier, flipped: float, seed: int = 0) -> None:
        if not 0 <= flipped <= 1:
            raise BadInput(f"is {flipped} and must be a probability", where="flipped")
        self._verifier, self._flipped, self._seed = verifier, flipped, seed
        self.name = f"noised({verifier.name}, flipped={flipped}, seed={seed})"
        self.oracle, self.roles = verifier.oracle, verifier.roles
        self.logprobs: LogprobNeed | None = verifier.logprobs
        self.needs_value = getattr(verifier, "needs_value", False)

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """The verifier's scores, some of them flipped."""
        scores = await self._verifier.score(run, problem, samples)

        def flips(sample: Sample) -> bool:
            return hashed(self._seed, "noise", problem.id, sample.whole) % 1_000_003 < self._flipped * 1_000_003

        return [
            1 - score if score is not None and flips(sample) else score for sample, score in zip(samples, scores, strict=True)
        ]
