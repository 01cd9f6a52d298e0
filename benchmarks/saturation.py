"""Tokens per second of the embedded model through `evaluate`, over those of a bare loop on the same engine.

    python benchmarks/saturation.py

The bare loop keeps the same slots busy with the same prompts and settings and does nothing else: no journal, no budget, no
answers. Both take turns on one loaded engine, so that a slow stretch of the machine hits both; the ratio is taken pair by pair.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from outthink import evaluate_async, tasks
from outthink.backends.llamacpp import LlamaCppBackend
from outthink.core.backend import Backend, Request
from outthink.core.problem import Problem
from outthink.core.sampling import Sampling
from outthink.tasks import arithmetic

Counted = tuple[int, float]
"""Completion tokens, seconds."""


WARM = arithmetic.problems(2, 99)


class Opened:
    """The backend with `open` and `close` left out, so that every contestant meets the same loaded engine."""

    def __init__(self, backend: LlamaCppBackend) -> None:
        self.backend = backend
        self.name, self.prices = backend.name, backend.prices
        self.complete, self.prompt_bound = backend.complete, backend.prompt_bound

    @property
    def capabilities(self) -> object:
        return self.backend.capabilities

    async def open(self) -> None: ...
    async def close(self) -> None: ...


async def bare(backend: LlamaCppBackend, problems: list[Problem], samples: int, seeds: Callable[[], int]) -> Counted:
    """The engine's own blocking call from one thread per slot."""
    engine = backend._engine
    assert engine is not None
    task = tasks.load("arithmetic")
    settings = Sampling().but(**task.sampling)
    bodies = [backend.body(Request(task.prompt(problem), settings, [seeds()])) for problem in problems for _ in range(samples)]

    def one(body: bytes) -> int:
        chunks: list[bytes] = []
        engine.generate(body, lambda chunk: bool(chunks.append(chunk)))
        return int(json.loads(chunks[-1])["timings"]["predicted_n"])

    started = time.perf_counter()
    with ThreadPoolExecutor(backend.capabilities.slots) as threads:
        tokens = await asyncio.get_running_loop().run_in_executor(None, lambda: sum(threads.map(one, bodies)))
    return tokens, time.perf_counter() - started


async def ours(backend: Backend, problems: list[Problem], samples: int, seeds: Callable[[], int]) -> Counted:
    """`evaluate` with its journal on disk."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        evaluation = await evaluate_async(
            problems, strategies=["majority"], budgets=[f"{samples} samples"], model=backend, task="arithmetic",
            journal=Path(folder) / "journal.db", seed=seeds(),
        )  # fmt: skip
    row = evaluation.row("majority", f"{samples} samples")
    return round(row.completion_tokens * len(problems)), time.perf_counter() - started


async def measure(count: int, samples: int, rounds: int) -> None:
    backend = LlamaCppBackend("embedded")
    await backend.open()
    seeds = itertools.count(1).__next__
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    try:
        await bare(backend, WARM, 4, seeds)  # what is loaded once is not measured
        await ours(Opened(backend), WARM, 4, seeds)
        for number in range(rounds):
            problems = arithmetic.problems(count, 100 + number)
            for name in ("bare", "ours") if number % 2 else ("ours", "bare"):
                run = (
                    bare(backend, problems, samples, seeds) if name == "bare" else ours(Opened(backend), problems, samples, seeds)
                )
                tokens, seconds = await run
                rates[name].append(tokens / seconds)
    finally:
        await backend.close()
    ratio = statistics.median(mine / base for mine, base in zip(rates["ours"], rates["bare"], strict=True))
    for name, found in rates.items():
        print(f"{name}: {statistics.median(found):.1f} tokens/s (rounds: {', '.join(f'{rate:.0f}' for rate in found)})")
    print(f"ours / bare: {ratio:.3f}, median of {rounds} paired rounds of {count} problems x {samples} samples")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    asyncio.run(measure(options.problems, options.samples, options.rounds))


if __name__ == "__main__":
    main()
