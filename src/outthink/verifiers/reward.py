"""A reward model behind HTTP as a process verifier: one call per answer so far (see `outthink.backends.rewards`).

Of several numbers the one at `place` counts: for a process reward model that gives a row of class probabilities per step, such as
Qwen2.5-Math-PRM, the last one of the last step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from outthink.core.capability import Needs, Roles
from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.parts.calibration import CalibrationOrFile
from outthink.parts.process import Process


def _sigmoid(number: float) -> float:
    # Both branches keep the exponent at 0 or below.
    return 1 / (1 + math.exp(-number)) if number >= 0 else math.exp(number) / (1 + math.exp(number))


TRANSFORMS: Mapping[str, Callable[[float], float]] = {"identity": float, "sigmoid": _sigmoid}


class Reward(Process):
    """Asks the role "prm" for the reward of each answer so far.

    mark:      what stands at the end of each step for the model to read its reward at, such as "<extra_0>"; "" for none
    place:     which of the numbers counts; -1: the last
    transform: "identity", or "sigmoid" for logits

    Raises UnknownName, BadInput.
    """

    def __init__(
        self,
        mark: str = "",
        place: int = -1,
        transform: str = "identity",
        aggregate: str = "last",
        calibration: CalibrationOrFile = None,
    ) -> None:
        if transform not in TRANSFORMS:
            raise UnknownName("transform of reward", transform, TRANSFORMS)
        if not isinstance(place, int) or isinstance(place, bool):
            raise BadInput(f"is {place!r} and must be a whole number", where="reward.place")
        super().__init__(f"reward(mark={mark!r}, place={place}, transform={transform})", aggregate, calibration)
        self.silence = (
            f"no reply of the role prm held a finite number at place={place}, or none arrived; bind a server of a reward model, "
            "such as pooling:URL#name"
        )
        self.roles: Roles = {"prm": {Needs.REWARDS, Needs.PREFIX}}
        self._mark, self._place, self._transform = mark, place, TRANSFORMS[transform]

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        """One reward per answer so far; None where the call failed, or gave too few numbers."""
        start = run.prompt(problem)
        replies = await run.generate(
            [start.continued(self._marked(run, text)) for text in texts], role="prm", max_tokens=1, stop=()
        )
        found = {reply.key.index: self._read(reply.meta) for reply in replies}
        return [found.get(index) for index in range(len(texts))]

    def _marked(self, run: Run, text: str) -> str:
        if not self._mark:
            return text
        ends = run.steps.split(text)
        return "".join(end[len(begin) :] + self._mark for begin, end in zip(["", *ends], ends, strict=False))

    def _read(self, meta: Mapping[str, object]) -> float | None:
        numbers = meta.get("rewards")
        if not isinstance(numbers, list) or not -len(numbers) <= self._place < len(numbers):
            return None
        return self._transform(float(numbers[self._place]))
