"""A model as a process verifier: how probable it finds "good" against "bad" as its first token after an answer so far.

The score is P(good) / (P(good) + P(bad)), from log-probabilities: one token per score, no sampling noise. The forms are those of
published process reward models: Math-Shepherd (arXiv:2312.08935) and its kin read the token after a mark at the end of each
step ("continued"); RLHFlow's read the assistant's turn after each step ("turns").

A model that is asked in its own form says hardly anything but its two words: both together have a chance near 1 (above 0.9 in
each of 2,000 replies of the tiny verifiers). After a wrong mark that is next to nothing, and their ratio means nothing; for a
mistyped word all scores are the same, and the chance that the other word leaves goes to what nobody reads.
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
from outthink.parts.next_tokens import alternatives
from outthink.parts.process import Process

FORMS = ("continued", "turns")
LEAST = 0.1
"""Least chance of both words together: below it there is no score."""
SURE = 0.9
"""Where one word alone always has so much, the other one isn't missed: the model is sure."""
PATIENCE = 8
"""Replies after which settings are refused by which most of them give no score, or all of them the same."""


class Verdict(Process):
    """Asks the role "prm" for one token per answer so far.

    good, bad: the two tokens, as the model's server writes them
    mark:      what stands between the answer so far and the verdict, unless the answer ends so already
    form:      "continued": the task's prompt, the answer so far, the mark. "turns": a chat with a turn per step, each but the
               last approved
    top:       alternatives of the token that are asked for; where the two have less than `LEAST` of all, there is no score

    `score` raises BadInput after `PATIENCE` replies most of which hold no verdict, or none of which names one of the two words
    although the other one was not sure: no further one would tell more.
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
        if not all(isinstance(text, str) for text in (good, bad, mark)) or not good or not bad or good == bad or top < 2:
            raise BadInput("good and bad must be two texts, mark one, and top 2 or more", where="verdict")
        super().__init__(f"verdict({good}|{bad}, {form}, mark={mark!r}, top={top})", aggregate, calibration)
        needs = {LogprobNeed(top=top), Needs.PREFIX if form == "continued" else Needs.CHAT}
        self.roles: Roles = {"prm": needs}
        self.silence = (
            f"{good!r} and {bad!r} are not the two words that the role prm says first, or no reply arrived; give the words that "
            "your model says as good= and bad=, and see form= and mark="
        )
        self.good, self.bad, self.mark, self.form, self.top = good, bad, mark, form, top
        self._replies, self._silent, self._least, self._named = 0, 0, 1.0, frozenset[str]()

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        """From 0 to 1; None where the model says neither, or this reply never arrived."""
        prompts = [self._prompt(run, problem, text) for text in texts]
        need = LogprobNeed(top=self.top, first=True)
        replies = await run.generate(prompts, role="prm", temperature=0.0, max_tokens=1, stop=(), logprobs=need)
        heard = {reply.key.index: alternatives(reply) for reply in replies}
        scores = {index: self._score(first) for index, first in heard.items()}
        self._replies += len(scores)
        self._silent += sum(score is None for score in scores.values())
        self._least = min(self._least, *(sum(self._chances(first)) for first in heard.values()))
        self._named |= {word for first in heard.values() for word in first if word in (self.good, self.bad)}
        unread = len(self._named) < 2 and self._least < SURE
        if self._replies >= PATIENCE and (2 * self._silent > self._replies or unread):
            likeliest = [f"{word!r} ({math.exp(value):.0%})" for word, value in list(alternatives(replies[-1]).items())[:3]]
            raise BadInput(
                f"{self.silence}; after {texts[-1][-20:]!r} it says {', '.join(likeliest) or 'nothing'}", where=self.name
            )
        return [scores.get(index) for index in range(len(texts))]

    def _prompt(self, run: Run, problem: Problem, text: str) -> Prompt:
        if self.form == "continued":
            return run.prompt(problem).continued(text if text.endswith(self.mark) else text + self.mark)
        ends = run.steps.split(text)
        steps = [end[len(start) :].strip() for start, end in zip(["", *ends], ends, strict=False)]
        turns = [Message("user", f"{problem.text} {steps[0]}")]
        for step in steps[1:]:
            turns += [Message("assistant", self.good), Message("user", step)]
        return Prompt(messages=tuple(turns))

    def _score(self, first: Mapping[str, float]) -> float | None:
        odds = self._chances(first)
        return odds[0] / sum(odds) if sum(odds) >= LEAST else None

    def _chances(self, first: Mapping[str, float]) -> list[float]:
        return [math.exp(first[word]) if word in first else 0.0 for word in (self.good, self.bad)]
