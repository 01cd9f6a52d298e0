"""The floor: what a competent engineer writes in an hour with the HTTP library that Outthink uses, no journal, no budget,
no retries. N samples for each problem, a majority vote over the boxed answers, `concurrency` requests at a time.

    python benchmarks/floor.py --samples 16 --concurrency 32
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp

from outthink.testing.fake_server import FakeServerProcess, FakeSettings, HashWorld

BOXED = re.compile(r"\\boxed\{(.+?)\}")


@dataclass
class Figures:
    """Of one run: seconds of wall clock and CPU, calls, share of problems answered rightly."""

    wall: float
    cpu: float
    calls: int
    accuracy: float


async def floor(url: str, problems: list[tuple[str, str]], samples: int, concurrency: int) -> Figures:
    """Workers take (problem, sample) pairs in order; each posts, parses and keeps the answer."""
    votes: list[Counter[str]] = [Counter() for _ in problems]
    work = iter([(at, seed) for at in range(len(problems)) for seed in range(samples)])
    wall, cpu = time.perf_counter(), time.process_time()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as session:

        async def worker() -> None:
            for at, seed in work:
                message = {"role": "user", "content": problems[at][0]}
                body = {"model": "fake", "messages": [message], "temperature": 0.7, "max_tokens": 256, "seed": seed}
                async with session.post(f"{url}/chat/completions", json=body) as reply:
                    reply.raise_for_status()
                    text = json.loads(await reply.read())["choices"][0]["message"]["content"]
                if found := BOXED.search(text):
                    votes[at][found[1]] += 1

        await asyncio.gather(*(worker() for _ in range(concurrency)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    right = sum(bool(vote) and vote.most_common(1)[0][0] == gold for vote, (_, gold) in zip(votes, problems, strict=True))
    return Figures(wall, cpu, len(problems) * samples, right / len(problems))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--concurrency", type=int, default=32)
    options = parser.parse_args()
    with FakeServerProcess(FakeSettings(latency=0.005, ledger=False)) as server:
        problems = HashWorld().problems(options.problems)
        figures = asyncio.run(floor(server.url, problems, options.samples, options.concurrency))
    print(
        f"{figures.calls} calls in {figures.wall:.2f} s, {figures.cpu * 1000 / figures.calls:.3f} ms CPU each, "
        f"accuracy {figures.accuracy:.3f}"
    )


if __name__ == "__main__":
    main()
