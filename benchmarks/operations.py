"""What one operation costs in CPU: strategies of many small steps, on a backend that answers at once, with a journal on disk.

    python benchmarks/operations.py
    python benchmarks/operations.py --models tiny embedded

The shapes are those of search over steps: `chain` generates one step at a time; `beam` generates a step for each of `width`
answers so far and scores them with a verifier that only looks; `judged` has them scored by a model, one short call each.
An operation is what a strategy (or verifier) awaits: a Generate of `width` prompts is one. Every figure is the median of
`rounds` rounds in a process of its own, on the loop and with the rare cycle collector that the command line has; "floor" is the
same with the bare backend called in a loop, which is not ours to save.

With --models: what Outthink takes of a whole run of a model in this process. "loop" is the CPU of the event loop's thread, on
which all of ours runs but what reads the engine's chunks, one by one; that is "slots", the CPU of the threads that wait for the
engine (it writes its chunks there, so that this is more than ours). The rest is the engine's. Medians of `rounds` rounds too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from outthink import Problem, Session
from outthink.api import run_anywhere
from outthink.cli import collect_rarely
from outthink.core.backend import Completion, Piece, Request
from outthink.core.capability import Capabilities
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.strategy import Strategy, strategy
from outthink.tasks import countdown
from outthink.tasks.exact import ExactTask

STEP = "12 + 30 = 42 and now 42\n"
TASK = ExactTask(r"now (\d+)")
PROBLEM = Problem("Reach 42 from 3, 5, 12 and 30.", "p")


class Instant:
    """A step of ten tokens, at once."""

    name, prices = "instant", None
    capabilities = Capabilities(seed=True, prefix=True)

    async def open(self) -> None: ...
    async def close(self) -> None: ...

    def prompt_bound(self, prompt: Prompt) -> int:
        return 64

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0)
        return Completion((Piece(STEP, Finish.STOP, 10),), 30, 10)


class Looks:
    """Scores by length."""

    name, oracle, logprobs, roles = "looks", False, None, frozenset[str]()

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        return [float(len(sample.whole)) for sample in samples]


class Asks(Looks):
    """Scores by what a model says, one token each."""

    name = "asks"

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        prompts = [run.prompt(problem).continued(sample.whole) for sample in samples]
        replies = await run.generate(prompts, temperature=0.0, max_tokens=1)
        return [float(len(reply.text)) for reply in replies]


@strategy("chain")
async def chain(run: Run, problem: Problem, steps: int = 100, width: int = 1) -> Selection:
    """One answer, step by step."""
    prompt = run.prompt(problem)
    for step in range(steps):
        [last] = await run.generate(prompt, max_tokens=32, stop=("\n",))
        prompt = prompt.continued(last.text) if step % 20 else run.prompt(problem)
    return Selection("42")


@strategy("beam")
async def beam(run: Run, problem: Problem, steps: int = 100, width: int = 4) -> Selection:
    """As many answers as `width`, grown and scored step by step."""
    start = run.prompt(problem)
    prompts = [start] * width
    for step in range(steps):
        samples = await run.generate(prompts, max_tokens=32, stop=("\n",))
        await run.score(problem, samples)
        prompts = [start.continued(sample.whole if step % 20 else "") for sample in samples]
    return Selection("42")


SHAPES: dict[str, tuple[Strategy, int, Any, int, int]] = {
    # strategy, width, verifier; operations and samples of one step
    "chain": (chain, 1, None, 1, 1),
    "beam": (beam, 4, Looks(), 2, 4),
    "wide beam": (beam, 16, Looks(), 2, 16),
    "judged": (beam, 4, Asks(), 3, 8),
}


async def once(shape: str, steps: int, journal: bool) -> float:
    """Seconds of CPU for one run."""
    found, width, verifier, _, _ = SHAPES[shape]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db" if journal else None
        async with Session(Instant(), task=TASK, verifier=verifier, concurrency=32, journal=path) as session:
            began = time.process_time()
            result = await session.solve(PROBLEM, found, budget="1M calls", steps=steps, width=width)
            spent = time.process_time() - began
    assert result.answer == "42", result.reason
    return spent


async def floor(steps: int) -> float:
    """Seconds of CPU for as many calls of the bare backend."""
    backend = Instant()
    request = Request(Prompt.chat(PROBLEM.text), None, (1,))  # type: ignore[arg-type]  # this backend doesn't look at settings
    began = time.process_time()
    for _ in range(steps):
        await backend.complete(request)
    return time.process_time() - began


def measured(shape: str, steps: int, rounds: int) -> dict[str, float]:
    """Microseconds per step: with a journal, without one, and of the bare backend."""
    collect_rarely()  # as the command line does
    _, _, _, _, samples = SHAPES[shape]
    found: dict[str, list[float]] = {"journal": [], "memory": [], "floor": []}
    for number in range(rounds + 1):
        for name, spent in (
            ("journal", run_anywhere(once(shape, steps, True))),
            ("memory", run_anywhere(once(shape, steps, False))),
            ("floor", run_anywhere(floor(steps * samples))),
        ):
            if number:  # the first round warms up
                found[name].append(spent * 1e6 / steps)
        gc.collect()
    return {name: statistics.median(values) for name, values in found.items()}


WHOLE: dict[str, tuple[dict[str, Any], list[Problem], str | None, dict[str, dict[str, Any]]]] = {
    # session, problems, budget of each, strategies with their parameters
    "tiny": (
        {"model": "tiny", "task": "countdown", "verifier": "verdict", "roles": {"prm": "tiny-verifier"}},
        countdown.problems(20, seed=7),
        None,
        {"majority": {"n": 16}, "beam_search": {"width": 8, "branching": 4}},
    ),
    "embedded": (
        {"model": "embedded", "task": "math", "verifier": "judge", "sampling": {"max_tokens": 64}},
        [Problem("What is 12 + 5 * 7?", "p")],
        "12 samples",
        {"majority": {"n": 8}, "beam_search": {"width": 4, "branching": 2}},
    ),
}


def by_thread() -> dict[int, float]:
    """Seconds of CPU that each thread of Python took, by its identifier."""
    known = [thread.ident for thread in threading.enumerate() if thread.ident is not None]
    return {ident: time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in known}


async def whole(model: str, name: str) -> tuple[float, float, float, int]:
    """One strategy on all problems at once: seconds of CPU of the process, this thread and Python's other ones; operations."""
    settings, problems, budget, strategies = WHOLE[model]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        async with Session(**settings, journal=path) as session:
            await session.solve(problems[0], name, "4 samples", name="warm", **strategies[name])
            before, began = by_thread(), time.process_time()
            await asyncio.gather(*(session.solve(problem, name, budget, **strategies[name]) for problem in problems))
            spent, after = time.process_time() - began, by_thread()
        with closing(sqlite3.connect(path)) as journal:
            [(operations,)] = journal.execute(  # run 1 warmed up
                "SELECT (SELECT count(*) FROM (SELECT DISTINCT run, path, seq FROM samples WHERE run > 1)) + "
                "(SELECT count(*) FROM outcomes WHERE run > 1)"
            )
    here = after.pop(threading.get_ident()) - before[threading.get_ident()]
    return spent, here, sum(seconds - before.get(ident, 0.0) for ident, seconds in after.items()), operations


def shares(models: Sequence[str], rounds: int) -> None:
    """A table of what is ours of whole runs."""
    print(f"CPU of whole runs, medians of {rounds}")
    print("model      strategy      operations     CPU s   loop %  slots %   loop: ms per operation")
    for model in models:
        for name in WHOLE[model][-1]:
            found = [run_anywhere(whole(model, name)) for _ in range(rounds)]
            spent, operations = (statistics.median(each[at] for each in found) for at in (0, 3))
            loop = statistics.median(each[1] / each[0] for each in found)
            slots = statistics.median(each[2] / each[0] for each in found)
            each = statistics.median(each[1] * 1e3 / each[3] for each in found)
            print(f"{model:<11}{name:<14}{operations:>10.0f}{spent:>10.1f}{loop:>9.1%}{slots:>9.1%}{each:>25.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--models", nargs="+", choices=WHOLE, help="measure whole runs of these instead")
    parser.add_argument("--one", choices=SHAPES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.models:
        collect_rarely()
        return shares(options.models, options.rounds)
    if options.one:
        print(json.dumps(measured(options.one, options.steps, options.rounds)))
        return None
    print(f"microseconds of CPU, medians of {options.rounds} rounds of {options.steps} steps")
    print("shape      per operation  per sample   without journal: per operation  per sample   floor per sample")
    for shape in options.shapes:
        command = [sys.executable, __file__, "--one", shape, "--steps", str(options.steps), "--rounds", str(options.rounds)]
        found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        _, _, _, operations, samples = SHAPES[shape]
        on, off, bare = (found[name] for name in ("journal", "memory", "floor"))
        print(
            f"{shape:<10}{on / operations:>14.0f}{on / samples:>12.0f}{off / operations:>33.0f}{off / samples:>12.0f}"
            f"{bare / samples:>19.0f}",
            flush=True,
        )
    return None


if __name__ == "__main__":
    main()
