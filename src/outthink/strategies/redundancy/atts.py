"""ATTS: a small model writes, and a large one takes over only where a conformal test finds what was written unlikely.

Paper: "ATTS: Asynchronous Test-Time Scaling via Conformal Prediction", arXiv:2509.15148 (16 samples, chunks of 500 tokens, at
most 15 turns, level 0.4, T 0.8). The generator is the draft; `target` names the role that takes over, and the verifier scores
chunks: the paper's is the target's own log-probability of them. Each sample goes on by itself, so none waits for another.
calibration: scores of chunks, one list per turn (the paper's marginal mode), or such lists by problem (its conditional mode);
None: `calibrate` first chunks of this very problem, drawn for that alone.
Differs from the official code: its test lacks the +1 for few scores (compat=True tests as the code does); it calibrates on
first chunks alone and then rejects more than it should from the third turn on, as scores drift: give one list per turn. A
chunk without a score is rejected, where the code lets it pass. As there, a rejected chunk stays, and the target goes on after
it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, QuorumNotMet
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.core.task import Answer
from outthink.parts.conformal import Turns
from outthink.parts.voting import growing

Calibration = Sequence[Sequence[float]]
ROUND = 4
"""Samples at a time where n is None, until the budget is spent."""
MOST_AT_ONCE = 1024
"""Samples at a time of any n: each is a child run of its own, which is held in memory."""


@strategy(
    "atts",
    paper="arXiv:2509.15148",
    title="ATTS: Asynchronous Test-Time Scaling via Conformal Prediction",
    needs={Needs.SCORES, Needs.PREFIX},
    roles=lambda given: {given["target"]: {Needs.PREFIX}},
    curve=False,
)
async def atts(
    run: Run,
    problem: Problem,
    n: int | None = None,
    target: str = "generator",
    level: float = 0.4,
    calibration: Calibration | Mapping[str, Calibration] | None = None,
    calibrate: int = 16,
    turns: int = 15,
    chunk: int = 500,
    compat: bool = False,
) -> Selection:
    """The vote of n samples that a draft model writes and a target model mends."""
    if not 0 <= level <= 1 or min(turns, chunk, calibrate) < 1:
        raise BadInput(f"level = {level} must be in [0, 1]; turns, chunk and calibrate 1 or more", where="atts")
    rounds, start = _rounds(run, n), run.prompt(problem)
    tests = Turns(_of(problem, calibration) or await _calibrated(run, problem, calibrate, chunk))
    failures: list[QuorumNotMet] = []

    async def written(child: Run) -> Sample | None:
        prompt, last = start, None
        try:
            for turn in range(turns):
                [last] = await child.generate(prompt, max_tokens=chunk)
                if last.finish is not Finish.LENGTH:
                    return last
                [score] = await child.score(problem, [last])
                if score is None or tests.at(turn).rejects(score, level, compat=compat):
                    mended = replace(start, prefix=last.whole)
                    [last] = await child.generate(mended, max_tokens=chunk, role=target)
                    if last.finish is not Finish.LENGTH:
                        return last
                if (await child.answers(problem, [last]))[0].valid:
                    return last
                prompt = replace(start, prefix=last.whole)
        except QuorumNotMet as failure:
            failures.append(failure)
        return last

    samples: list[Sample] = []
    answers: list[Answer] = []
    selection = Selection(None)
    for width in rounds:
        found = [sample for sample in await run.all([written] * width) if sample is not None]
        if not found:
            break
        samples, answers = samples + found, answers + await run.answers(problem, found)
        *_, selection = growing(samples, answers)
        run.offer(selection)
    if not samples and failures:
        raise failures[0]
    return selection


async def _calibrated(run: Run, problem: Problem, count: int, chunk: int) -> list[list[float]]:
    first = await run.generate(problem, count, max_tokens=chunk)
    scores = [score for score in await run.score(problem, first) if score is not None]
    return [scores or [-math.inf]]  # where nothing could be scored nothing is known to be unlikely


def _of(problem: Problem, calibration: Calibration | Mapping[str, Calibration] | None) -> Calibration | None:
    if isinstance(calibration, Mapping):
        if problem.id not in calibration:
            raise BadInput(f"holds no scores of problem {problem.id!r}", where="calibration of atts")
        calibration = calibration[problem.id]
    turns = [[]] if calibration is None else calibration
    listed = _listed(turns) and len(turns) > 0 and all(map(_listed, turns))
    if not listed or not all(isinstance(each, (int, float)) for turn in turns for each in turn):
        raise BadInput("must be lists of scores, one list for each turn, or such lists by problem", where="calibration of atts")
    return calibration


def _listed(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _rounds(run: Run, n: int | None) -> Iterable[int]:
    if n is None and not run.left.limits():
        raise BadInput("n=None fills the budget, and there is none; give a budget such as '64 samples'", where="atts")
    if n is None:
        return itertools.repeat(ROUND)
    return [*[MOST_AT_ONCE] * (n // MOST_AT_ONCE), *([rest] if (rest := n % MOST_AT_ONCE) else [])]
