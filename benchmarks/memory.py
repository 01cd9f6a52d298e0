"""Whether memory stays constant and time linear: 10,000 problems x 64 samples streamed through `evaluate`, journal on.

    python benchmarks/memory.py

The backend answers at once, in this process, from the fake server's world: nothing but Outthink takes time or memory.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import tempfile
import time
from pathlib import Path

import outthink
from outthink.core.backend import Completion, Finish, Piece, Request
from outthink.core.capability import Capabilities
from outthink.core.prompt import Prompt
from outthink.core.selection import Result
from outthink.tasks.exact import ExactTask
from outthink.testing.fake_server import HashWorld

LIMIT = 300  # MB
TENTHS = 10


class Instant:
    """Texts of a world, at once."""

    name = "instant"
    prices = None
    capabilities = Capabilities(seed=True, slots=32)

    def __init__(self, world: HashWorld) -> None:
        self._world = world

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    def prompt_bound(self, prompt: Prompt) -> int:
        return 64

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0)
        # Seeds have 31 bits and draws 63: the low half decides what is answered, the high half how it is said.
        text = self._world(request.prompt.messages[-1].content, "", request.seeds[0] * (2**32 + 2)).text
        return Completion((Piece(text, Finish.EOS, 40),), 30, 40)


def resident() -> float:
    """Memory of this process now, in MB; at most so far where the system doesn't say."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def run(problems: int, samples: int) -> list[tuple[int, float, float]]:
    """(runs done, seconds, MB) at each tenth."""
    world = HashWorld()
    rows = [outthink.Problem(text, str(at), gold) for at, (text, gold) in enumerate(world.problems(problems))]
    points: list[tuple[int, float, float]] = []
    began = time.perf_counter()

    def note(done: int, total: int, result: Result) -> None:
        assert result.usage.samples == samples, result.reason
        if done % max(1, total // TENTHS) == 0:
            points.append((done, time.perf_counter() - began, resident()))
            print(f"{done:>9} problems {done * samples:>9} samples {points[-1][1]:>8.1f} s {points[-1][2]:>6.0f} MB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        evaluation = await outthink.evaluate_async(
            rows,
            strategies=["majority"],
            budgets=[f"{samples} samples"],
            model=Instant(world),
            task=ExactTask(r"\\boxed\{(.+?)\}"),
            journal=Path(folder) / "journal.db",
            progress=note,
        )
        size = sum(entry.stat().st_size for entry in os.scandir(folder)) / 2**20
    print(f"{evaluation.model}: journal {size:.0f} MB on disk")
    return points


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=10_000, help="a multiple of ten")
    parser.add_argument("--samples", type=int, default=64)
    options = parser.parse_args()
    points = asyncio.run(run(options.problems, options.samples))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = [point[1] for point in points]
    late = (seconds[9] - seconds[5]) / (seconds[4] - seconds[0])
    print(f"peak {peak:.0f} MB (limit {LIMIT}), {max(mb for *_, mb in points) - points[0][2]:+.0f} MB after the first tenth")
    print(f"{seconds[-1] * 1e6 / (options.problems * options.samples):.0f} us a sample")
    print(f"time of the last four tenths over that of the second to fifth: {late:.2f}")
    return 0 if peak < LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
