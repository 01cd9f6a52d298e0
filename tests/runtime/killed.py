"""What `test_kill` starts: six runs on a simulated model in real time, in a process that kills itself.

Arguments: journal, log of calls, file of results, and during which call, and how many seconds into it, to die (0: never).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from outthink.core.backend import Completion, Request
from outthink.core.budget import Budget
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.runtime.spec import RunSpec
from outthink.session import Session
from outthink.testing.simulated import Pace, SimulatedBackend
from tests.runtime.running import WORLD, written

MAX_TOKENS = 40
SAMPLES = 12


class Logged(SimulatedBackend):
    """Says in a file which sample it is asked for, before it answers, or dies of being asked."""

    def __init__(self, log: int, last: int, seconds: float, **settings: Any) -> None:
        super().__init__(WORLD, **settings)
        self.log, self.last, self.seconds = log, last, seconds
        self.asked = 0

    async def complete(self, request: Request) -> Completion:
        assert request.identity is not None
        os.write(self.log, f"{request.identity.run} {request.identity.ordinal}\n".encode())
        self.asked += 1
        if self.asked == self.last:
            await asyncio.sleep(self.seconds)
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().complete(request)


async def in_turns(run: Run, problem: Problem) -> Selection:
    texts: list[str] = []
    while len(texts) < SAMPLES:
        samples = await run.generate(problem, 3)
        answers = await run.answers(problem, samples)
        texts += [f"{answer.text}:{sample.text}" for answer, sample in zip(answers, samples, strict=True)]
    return Selection("|".join(texts))


async def main(journal: str | None, log: str, last: int, seconds: float) -> dict[str, Any]:
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    backend = Logged(handle, last, seconds, pace=Pace(first=0.01, per_token=0.002, spread=0.9))
    specs = [
        RunSpec(problem.id, "in_turns" if at % 2 else "majority", problem, Budget(), {} if at % 2 else {"n": SAMPLES}, 0, at)
        for at, problem in enumerate(WORLD.problems[:6])
    ]
    settings: dict[str, Any] = {"task": WORLD.task, "sampling": {"max_tokens": MAX_TOKENS}, "concurrency": 4, "journal": journal}
    found = {}
    async with Session(backend, **settings) as session:
        async for spec, result in session.runs(specs, strategies=[written(in_turns, "in_turns")], keep_samples=True):
            texts = [sample.text for sample in result.samples]
            found[spec.name] = {
                "told": [result.answer, result.stop, texts],
                "usage": result.usage.fields(),
                "wall_seconds": result.wall_seconds,
            }
    return found


if __name__ == "__main__":
    journal, log, results, last, seconds = sys.argv[1:]
    Path(results).write_text(json.dumps(asyncio.run(main(journal or None, log, int(last), float(seconds)))))
