"""A model as the judge: one call per sample, greedy, whose verdict is parsed."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.capability import Needs, Roles
from outthink.core.errors import BadInput
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.parts import prompts


class Judge:
    """Scores 1.0 for "correct", 0.0 for "incorrect"; None where the reply holds no verdict, or this reply never arrived.

    max_tokens: most tokens of a reply
    """

    oracle = False
    logprobs: LogprobNeed | None = None
    silence = "no reply of the role judge held a verdict, or none arrived; see max_tokens="

    def __init__(self, max_tokens: int = 256) -> None:
        if max_tokens < 1:
            raise BadInput(f"max_tokens is {max_tokens} and must be 1 or more", where="judge")
        self.roles: Roles = {"judge": {Needs.CHAT}}
        self.name = f"judge(max_tokens={max_tokens})"
        self.max_tokens = max_tokens

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """One call to the role "judge" per sample."""
        if not samples:
            return []
        asked = [prompts.judge(problem, sample.whole) for sample in samples]
        replies = await run.generate(asked, role="judge", temperature=0.0, max_tokens=self.max_tokens, stop=())
        verdicts = {reply.key.index: prompts.verdict(reply.whole) for reply in replies}
        scores = (verdicts.get(index) for index in range(len(samples)))
        return [None if right is None else float(right) for right in scores]
