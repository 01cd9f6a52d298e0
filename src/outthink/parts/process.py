"""The base of process verifiers: they score an answer so far, step by step, and remember what they scored.

Splitting, remembering and aggregating are done here; what a score is, a verifier of its own says in `judged`.
"""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.capability import Roles
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.parts.aggregation import aggregated


class Process:
    """A verifier that scores beginnings of answers. Implements the `Verifier` protocol.

    aggregate: how the scores of an answer's steps become one ("last", "min", "product", "mean", "max"). "last" asks for the
               whole text only, the others for every step that this run has not scored before

    Raises UnknownName.
    """

    oracle = False
    logprobs: LogprobNeed | None = None
    roles: Roles = ()

    def __init__(self, name: str, aggregate: str = "last") -> None:
        aggregated([0.0], aggregate)
        self.name, self.aggregate = f"{name}(aggregate={aggregate})", aggregate

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        """One score per answer so far, higher is better; None where it can't say. The texts are distinct."""
        raise NotImplementedError  # abstract: each process verifier says

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """One number per sample, of all its steps."""
        known = run.memory(self.name)
        beginnings = [run.steps.split(sample.whole) if self.aggregate != "last" else [sample.whole] for sample in samples]
        news = list(dict.fromkeys(text for texts in beginnings for text in texts if text not in known))
        if news:
            known.update(zip(news, await self.judged(run, problem, news), strict=True))
        return [aggregated([known[text] for text in texts], self.aggregate) for texts in beginnings]
