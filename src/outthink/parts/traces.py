"""Traces: answers that grow step by step, and the three things that every search does with them: grow, rate, choose.

A trace is a node of a search tree that knows its path. Which traces go on is a strategy's rule (`outthink.parts.frontier`,
`resampling` and others); where a step ends is the task's (`outthink.core.step`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.step import Steps
from outthink.parts.voting import Best, Tally, growing


@dataclass(frozen=True, slots=True)
class Trace:
    """An answer so far.

    steps:  one sample per step; each continues the one before it, and holds the boundary that ended it
    scores: one per step: the verifier's of the answer up to there, or None where it couldn't say
    ended:  why the whole answer ended (never `Finish.STOP` by a boundary alone); None: it can go on
    """

    steps: tuple[Sample, ...] = ()
    scores: tuple[float | None, ...] = ()
    ended: Finish | None = None

    @property
    def text(self) -> str:
        """The whole answer so far; byte for byte what its model continues."""
        return self.steps[-1].whole if self.steps else ""

    @property
    def tokens(self) -> int:
        """Completion tokens along the path; a step whose tokens nobody counted counts none."""
        return sum(step.tokens or 0 for step in self.steps)

    @property
    def depth(self) -> int:
        """Its number of steps."""
        return len(self.steps)

    @property
    def score(self) -> float | None:
        """The score of the answer so far; None: none yet, or the verifier couldn't say."""
        return self.scores[-1] if self.scores and len(self.scores) == len(self.steps) else None

    @property
    def rank(self) -> float:
        """The score as a number to compare: what has none comes last."""
        return -math.inf if self.score is None else self.score

    def cut(self, depth: int) -> Trace:
        """Its first steps as a trace that can go on."""
        return self if depth >= self.depth else Trace(self.steps[:depth], self.scores[:depth])


ROOT = Trace()


async def grow(
    run: Run, problem: Problem, traces: Sequence[Trace], *, to_end: bool = False, start: Prompt | None = None, **how: Any
) -> list[Trace | None]:
    """Each trace with one more step, in order; one that has ended as it is; None where its step failed or the budget refused it.

    to_end: the step goes to the end of the answer (a rollout)
    start:  the prompt before the answer, if not the task's
    how:    settings of `Run.generate`

    A step that is the last one allowed goes to the end too. An empty step ends its trace. Raises what generating raises
    where not one step arrived.
    """
    rule, found = run.steps, list[Trace | None](traces)
    last = [at for at, trace in enumerate(traces) if trace.ended is None and (to_end or trace.depth + 1 >= rule.most)]
    others = [at for at, trace in enumerate(traces) if trace.ended is None and not (to_end or trace.depth + 1 >= rule.most)]
    for places, ends in ((others, False), (last, True)):
        if not places:
            continue
        settings = {} if ends else _one_step(run, rule)
        for at in places:
            found[at] = None
        before = start or run.prompt(problem)
        texts = [traces[at].text for at in places]
        # Samples of one prompt are asked for as such: a backend may share its computation.
        shared = len(set(texts)) == 1
        prompts = before.continued(texts[0]) if shared else [before.continued(text) for text in texts]
        for sample in await run.generate(prompts, len(places), **{**settings, **how}):
            at = places[sample.key.index]
            found[at] = _grown(problem, traces[at], sample, rule, whole=ends)
    return found


def _one_step(run: Run, rule: Steps) -> dict[str, Any]:
    return {
        **({"stop": (rule.boundary, *(stop for stop in run.sampling().stop if stop != rule.boundary))} if rule.boundary else {}),
        **({"max_tokens": min(rule.tokens, run.sampling().max_tokens)} if rule.tokens else {}),
    }


def _grown(problem: Problem, trace: Trace, sample: Sample, rule: Steps, *, whole: bool) -> Trace:
    ended: Finish | None = sample.finish
    if whole:
        pass
    elif sample.finish is Finish.STOP and sample.text and rule.boundary is not None:
        sample, ended = replace(sample, text=sample.text + rule.boundary), None
    elif sample.finish is Finish.LENGTH and rule.tokens is not None:
        ended = None
    if ended is None and rule.complete is not None and rule.complete(problem, sample.whole):
        ended = Finish.EOS
    return Trace((*trace.steps, sample), trace.scores, ended)


async def rate(run: Run, problem: Problem, traces: Sequence[Trace]) -> list[Trace]:
    """The traces with the score of their last step; what has one keeps it, and equal texts are scored once."""
    news: dict[str, Sample] = {}
    for trace in traces:
        if len(trace.scores) < trace.depth:
            news.setdefault(trace.text, trace.steps[-1])
    scores = dict(zip(news, await run.score(problem, list(news.values())), strict=True)) if news else {}

    def rated(trace: Trace) -> Trace:
        if len(trace.scores) >= trace.depth:
            return trace
        gap = (None,) * (trace.depth - 1 - len(trace.scores))  # steps that nobody rated
        return replace(trace, scores=(*trace.scores, *gap, scores[trace.text]))

    return [rated(trace) for trace in traces]


RULES: Mapping[str, tuple[type[Tally], bool]] = {"best": (Best, True), "weighted": (Tally, True), "majority": (Tally, False)}
"""How ended traces choose an answer: the best-scored one, the largest sum of scores, or the most votes."""


async def choose(run: Run, problem: Problem, traces: Sequence[Trace], rule: str = "best") -> Selection:
    """The answer of these traces, by one of `RULES`; offered where there is one. Traces that have not ended choose nothing,
    so that a strategy which begins with none has an unknown rule refused before anything is spent.

    Raises UnknownName, and BadInput for scores that can't be weights.
    """
    if rule not in RULES:
        raise UnknownName("rule", rule, RULES)
    tally, scored = RULES[rule]
    ended = [trace for trace in traces if trace.ended is not None]
    if not ended:
        return Selection(None)
    if rule == "weighted" and (least := min(trace.score or 0.0 for trace in ended)) < 0:
        raise BadInput(f"a score of {least!r} can't be a vote's weight; choose by rule='best' or 'majority'", where="verifier")
    samples = [trace.steps[-1] for trace in ended]
    answers = await run.answers(problem, samples)
    *_, chosen = growing(samples, answers, [trace.score for trace in ended] if scored else None, tally=tally)
    if chosen.answer is not None:
        run.offer(chosen)
    return chosen
