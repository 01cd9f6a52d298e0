"""Monte-Carlo value: how often answers finished from an answer so far come out right.

Paper: "Math-Shepherd", arXiv:2312.08935, labels steps so. What is right, another verifier says: the task's own solver (the
default; no gold answer is needed), or any that scores whole answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from outthink.core.errors import QuorumNotMet
from outthink.core.given import instance, whole
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.verifier import Verifier
from outthink.parts.calibration import CalibrationOrFile
from outthink.parts.process import Process
from outthink.verifiers.solver import Solver


class Rollouts(Process):
    """Finishes each answer so far `n` times with the generator; the score is the mean of what `outcome` says of them. Of an
    answer that has ended it is what `outcome` says of it.

    Raises BadInput.
    """

    def __init__(
        self,
        n: int = 4,
        outcome: Verifier | None = None,
        aggregate: str = "last",
        calibration: CalibrationOrFile = None,
    ) -> None:
        whole("rollouts.n", n, 1)
        instance("rollouts.outcome", outcome, Verifier, "a verifier itself, such as Judge(), or None")
        self._n, self._outcome = n, outcome or Solver()
        super().__init__(f"rollouts(n={n}, outcome={self._outcome.name})", aggregate, calibration)
        self.silence = f"no rollout arrived, or {self._outcome.name} gave none a score"
        self.needs_value = getattr(self._outcome, "needs_value", False)
        self.oracle, self.logprobs = self._outcome.oracle, self._outcome.logprobs
        # The generator's calls are charged to the run: room must be left for them.
        self.roles = frozenset({"generator", *self._outcome.roles})

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """One number per sample; one that has ended costs no rollout."""
        known = run.memory(self.name)
        if ended := {sample.whole: sample for sample in samples if sample.whole not in known and _ended(run, problem, sample)}:
            scores = await self._outcome.score(run, problem, [*ended.values()])
            known.update(self.chances(run, [*ended], scores))
        return await super().score(run, problem, samples)

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        """Means of the outcome's scores; None where no rollout arrived, or none has a score."""
        start = run.prompt(problem)
        try:
            samples = await run.generate([start.continued(text) for text in texts for _ in range(self._n)])
        except QuorumNotMet:
            return [None] * len(texts)
        scores: list[list[float]] = [[] for _ in texts]
        for sample, score in zip(samples, await self._outcome.score(run, problem, samples), strict=True):
            if score is not None:
                scores[sample.key.index // self._n].append(score)
        return [math.fsum(each) / len(each) if each else None for each in scores]


def _ended(run: Run, problem: Problem, sample: Sample) -> bool:
    """Whether it is a whole answer, and no step of one."""
    rule = run.steps
    cut = sample.finish is Finish.LENGTH and rule.tokens is not None
    stopped = sample.finish is Finish.STOP and rule.boundary is not None and bool(sample.text)
    return not (cut or stopped) or (rule.complete is not None and rule.complete(problem, sample.whole))
