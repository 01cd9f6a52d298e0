"""Rating a step by what follows it: a few greedy steps more, generated for the score only and then thrown away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from outthink.core.errors import BadInput, QuorumNotMet
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.parts.traces import Trace, grow, rate


async def rate_ahead(run: Run, problem: Problem, traces: Sequence[Trace], lookahead: int) -> list[Trace]:
    """The traces rated by the score that each has after `lookahead` more steps at temperature 0 (0: by their own).

    A trace whose further step fails is rated where it got to. Raises BadInput for a negative lookahead.
    """
    if lookahead < 0:
        raise BadInput(f"is {lookahead} and must be 0 or more", where="lookahead")
    if not lookahead:
        return await rate(run, problem, traces)
    ahead = list(traces)
    for _ in range(lookahead):
        if all(trace.ended is not None for trace in ahead):
            break
        try:
            grown = await grow(run, problem, ahead, temperature=0.0)
        except QuorumNotMet:
            break
        ahead = [old if new is None else new for old, new in zip(ahead, grown, strict=True)]
    seen = await rate(run, problem, ahead)
    return [replace(one, scores=(*one.scores, other.score)) for one, other in zip(traces, seen, strict=True)]
