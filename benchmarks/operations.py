"""What one operation costs in CPU: strategies of many small steps, on a backend that answers at once, with a journal on disk.

    python benchmarks/operations.py

The shapes are those of search over steps: `chain` generates one step at a time; `beam` generates a step for each of `width`
answers so far and scores them with a verifier that only looks; `judged` has them scored by a model, one short call each.
An operation is what a strategy (or verifier) awaits: a Generate of `width` prompts is one. Every figure is the median of
`rounds` rounds in a process of its own; "floor" is the same with the bare backend called in a loop, which is not ours to save.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from outthink import Problem, Session
from outthink.cli import collect_rarely
from outthink.core.backend import Completion, Piece, Request
from outthink.core.capability import Capabilities
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.strategy import Strategy, strategy
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
            ("journal", asyncio.run(once(shape, steps, True))),
            ("memory", asyncio.run(once(shape, steps, False))),
            ("floor", asyncio.run(floor(steps * samples))),
        ):
            if number:  # the first round warms up
                found[name].append(spent * 1e6 / steps)
        gc.collect()
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--one", choices=SHAPES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one, options.steps, options.rounds)))
        return
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


if __name__ == "__main__":
    main()
