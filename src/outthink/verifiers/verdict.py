"""A model as a process verifier: how probable it finds "good" against "bad" as its first token after an answer so far.

The score is P(good) / (P(good) + P(bad)), from log-probabilities: one token per score, no sampling noise. The forms are those of
published process reward models: Math-Shepherd (arXiv:2312.08935) and its kin read the token after a mark at the end of each
step ("continued"); RLHFlow's read the assistant's turn after each step ("turns").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from outthink.core.capability import Needs, Roles
from outthink.core.errors import BadInput, UnknownName
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Message, Prompt
from outthink.core.run import Run
from outthink.parts.calibration import CalibrationOrFile
from outthink.parts.process import Process

FORMS = ("continued", "turns")


class Verdict(Process):
    """Asks the role "prm" for one token per answer so far.

    good, bad: the two tokens, as the model's server writes them
    mark:      what stands between the answer so far and the verdict, unless the answer ends so already
    form:      "continued": the task's prompt, the answer so far, the mark. "turns": a chat with a turn per step, each but the
               last approved
    top:       alternatives of the token that are asked for; where neither of the two is among them there is no score
    """

    def __init__(
        self,
        good: str = "good",
        bad: str = "bad",
        mark: str = "\n",
        form: str = "continued",
        aggregate: str = "last",
        top: int = 20,
        calibration: CalibrationOrFile = None,
    ) -> None:
        if form not in FORMS:
            raise UnknownName("form of verdict", form, FORMS)
        if not good or not bad or good == bad or top < 2:
            raise BadInput("good and bad must be two texts, and top 2 or more", where="verdict")
        super().__init__(f"verdict({good}|{bad}, {form}, mark={mark!r}, top={top})", aggregate, calibration)
        needs = {LogprobNeed(top=top), Needs.PREFIX if form == "continued" else Needs.CHAT}
        self.roles: Roles = {"prm": needs}
        self.silence = (
            f"neither {good!r} nor {bad!r} was among the {top} likeliest first tokens of the role prm, or no reply arrived; give "
            "the words that your model says as good= and bad=, and see form= and mark="
        )
        self.good, self.bad, self.mark, self.form, self.top = good, bad, mark, form, top

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        """From 0 to 1; None where the model says neither, or this reply never arrived."""
        prompts = [self._prompt(run, problem, text) for text in texts]
        need = LogprobNeed(top=self.top, first=True)
        replies = await run.generate(prompts, role="prm", temperature=0.0, max_tokens=1, stop=(), logprobs=need)
        found = {reply.key.index: reply.meta.get("first_token") for reply in replies}
        return [self._score(found.get(index)) for index in range(len(texts))]

    def _prompt(self, run: Run, problem: Problem, text: str) -> Prompt:
        if self.form == "continued":
            return run.prompt(problem).continued(text if text.endswith(self.mark) else text + self.mark)
        ends = run.steps.split(text)
        steps = [end[len(start) :].strip() for start, end in zip(["", *ends], ends, strict=False)]
        turns = [Message("user", f"{problem.text} {steps[0]}")]
        for step in steps[1:]:
            turns += [Message("assistant", self.good), Message("user", step)]
        return Prompt(messages=tuple(turns))

    def _score(self, first: object) -> float | None:
        if not isinstance(first, Mapping):
            return None
        odds = [math.exp(first[word]) if word in first else 0.0 for word in (self.good, self.bad)]
        return odds[0] / sum(odds) if sum(odds) > 0 else None
