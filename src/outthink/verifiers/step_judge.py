"""A model as the judge of an answer so far: one call per beginning, greedy, whose rating from 0 to 10 is parsed."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.capability import Needs, Roles
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.parts import prompts
from outthink.parts.calibration import CalibrationOrFile
from outthink.parts.process import Process


class StepJudge(Process):
    """Scores in [0, 1]; None where the reply holds no rating, or never arrived.

    max_tokens: most tokens of a reply. Raises BadInput.
    """

    silence = "no reply of the role judge ended in a rating from 0 to 10, or none arrived; see max_tokens="

    def __init__(self, max_tokens: int = 256, aggregate: str = "last", calibration: CalibrationOrFile = None) -> None:
        if max_tokens < 1:
            raise BadInput(f"max_tokens is {max_tokens} and must be 1 or more", where="step_judge")
        self.roles: Roles = {"judge": {Needs.CHAT}}
        super().__init__(f"step_judge(max_tokens={max_tokens})", aggregate, calibration)
        self._max_tokens = max_tokens

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        """One call to the role "judge" per answer so far."""
        asked = [prompts.judge_beginning(problem, text) for text in texts]
        replies = await run.generate(asked, role="judge", temperature=0.0, max_tokens=self._max_tokens, stop=())
        ratings = {reply.key.index: prompts.score(reply.whole) for reply in replies}
        return [ratings.get(index) for index in range(len(texts))]
