"""ATTS: a small model writes, and a large one takes over only where a conformal test finds what was written unlikely.

Paper: "ATTS: Asynchronous Test-Time Scaling via Conformal Prediction", arXiv:2509.15148 (16 samples, chunks of 500 tokens, at
most 15 turns, level 0.4, T 0.8). The generator is the draft; `target` names the role that takes over, and the verifier scores
chunks: the paper's is the target's own log-probability of them. Each sample goes on by itself, so none waits for another.
calibration: scores of chunks, one list per turn; None: `calibrate` first chunks of this very problem, drawn for that alone.
Differs from the official code: its test lacks the +1 for few scores (compat=True tests as the code does); it calibrates on
first chunks alone and then rejects more than it should from the third turn on, as scores drift: give one list per turn. A
chunk without a score is rejected, where the code lets it pass. As there, a rejected chunk stays, and the target goes on after
it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, QuorumNotMet
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.conformal import Turns
from outthink.parts.voting import growing


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
    calibration: Sequence[Sequence[float]] | None = None,
    calibrate: int = 16,
    turns: int = 15,
    chunk: int = 500,
    compat: bool = False,
) -> Selection:
    """The vote of n samples that a draft model writes and a target model mends."""
    if not 0 <= level <= 1 or min(turns, chunk, calibrate) < 1:
        raise BadInput(f"level = {level} must be in [0, 1]; turns, chunk and calibrate 1 or more", where="atts")
    if calibration is None:
        first = await run.generate(problem, calibrate, max_tokens=chunk)
        scores = [score for score in await run.score(problem, first) if score is not None]
        calibration = [scores or [-math.inf]]  # where nothing could be scored nothing is known to be unlikely
    tests, start = Turns(calibration), run.prompt(problem)
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

    found = await run.all([written] * (n or run.left.samples or 16))
    samples = [sample for sample in found if sample is not None]
    if not samples and failures:
        raise failures[0]
    *_, selection = (Selection(None), *growing(samples, await run.answers(problem, samples)))
    run.offer(selection)
    return selection
