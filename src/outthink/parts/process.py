"""The base of process verifiers: they score an answer so far, step by step, and remember what they scored.

Splitting, remembering, calibrating and aggregating are done here; what a score is, a verifier of its own says in `judged`.
"""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.capability import Roles
from outthink.core.errors import BadInput, QuorumNotMet
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.parts.aggregation import aggregated
from outthink.parts.calibration import Calibration, CalibrationOrFile
from outthink.parts.drawing import HOPELESS_RUN


class Process:
    """A verifier that scores beginnings of answers. Implements the `Verifier` protocol.

    aggregate: how the scores of an answer's steps become one ("last", "min", "product", "mean", "max"). "last" asks for the
               whole text only, the others for every step that this run has not scored before
    calibration: maps that turn the score of each step into a chance before that, or the file that holds them; None: none

    silence: why it may have nothing to say, for a user whose run got no score at all

    Raises UnknownName, BadInput.
    """

    oracle = False
    logprobs: LogprobNeed | None = None
    roles: Roles = ()
    silence = ""

    def __init__(self, name: str, aggregate: str = "last", calibration: CalibrationOrFile = None) -> None:
        aggregated([0.0], aggregate)
        self.aggregate, self._maps, settings = aggregate, Calibration.of(calibration), f"aggregate={aggregate}"
        if self._maps is not None:
            if self._maps.verifier != name:
                raise BadInput(f"was fitted to verifier {self._maps.verifier}, and this is {name}", where="calibration")
            settings += f", calibration={self._maps.fingerprint}"
        self.name = f"{name}({settings})"

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        """One score per answer so far, higher is better; None where it can't say. The texts are distinct."""
        raise NotImplementedError  # abstract: each process verifier says

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """One number per sample, of all its steps."""
        known = run.memory(self.name)
        beginnings = [run.steps.split(sample.whole) if self.aggregate != "last" else [sample.whole] for sample in samples]
        news = list(dict.fromkeys(text for texts in beginnings for text in texts if text not in known))
        if news:
            known.update(self.chances(run, news, await self._judged(run, problem, news, first=not known)))
        return [aggregated([known[text] for text in texts], self.aggregate) for texts in beginnings]

    def chances(self, run: Run, texts: Sequence[str], scores: Sequence[float | None]) -> dict[str, float | None]:
        """The score of each text, calibrated where there are maps."""
        if (maps := self._maps) is None:
            return dict(zip(texts, scores, strict=True))
        depths = [len(run.steps.split(text)) for text in texts]
        return {text: maps.chance(score, depth) for text, score, depth in zip(texts, scores, depths, strict=True)}

    async def _judged(self, run: Run, problem: Problem, texts: Sequence[str], first: bool) -> list[float | None]:
        """A few texts of which not one reply arrived have no score; only a verifier that is gone ends its run."""
        try:
            return await self.judged(run, problem, texts)
        except QuorumNotMet as none:
            if first or len(none.failed) >= HOPELESS_RUN:
                raise
            return [None] * len(texts)
