"""What Outthink costs on top of the bare requests: wall clock and CPU per call against the floor and against its_hub.

    python benchmarks/overhead.py

N samples for each of 200 problems and a majority vote, against the fake server (its own process) at 5 ms latency. Every
measurement is a process of its own; the contestants take turns in every round. Ours runs through a session with its journal
on disk, on uvloop and with a rare cycle collector, as the command line runs it; the floor is measured on asyncio's own loop
and on uvloop (floor-uv). its_hub 1.2.0 is installed once, into an environment of its own in the user's cache folder.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from environments import interpreter

from outthink.api import run_anywhere
from outthink.cli import collect_rarely
from outthink.testing.fake_server import FakeServerProcess, FakeSettings, HashWorld

HERE = Path(__file__).parent
PEER = "its_hub[lm]==1.2.0"
Problems = list[tuple[str, str]]
LOADED_LATE = (
    "filelock",
    "outthink.backends.openai",
    "outthink.session",
    "outthink.strategies.parallel.majority",
    "outthink.tasks.exact",
)


async def ours(url: str, samples: int, concurrency: int, problems: Problems) -> float:
    """Accuracy of a session with its journal on."""
    from outthink import Budget, Problem, Session
    from outthink.runtime.spec import RunSpec
    from outthink.tasks.exact import ExactTask

    gold = dict(problems)
    specs = (
        RunSpec(f"problem {at}", "majority", Problem(id=str(at), text=text), Budget.of(f"{samples} samples"), ordinal=at)
        for at, (text, _) in enumerate(problems)
    )
    with tempfile.TemporaryDirectory() as folder:
        async with Session(
            f"{url}#fake",
            task=ExactTask(r"\\boxed\{(.+?)\}"),
            sampling={"temperature": 0.7, "max_tokens": 256},
            concurrency=concurrency,
            journal=Path(folder) / "journal.db",
        ) as session:
            answers = [(spec.problem.text, result.answer) async for spec, result in session.runs(specs)]
    return sum(gold[text] == answer for text, answer in answers) / len(problems)


async def floor(url: str, samples: int, concurrency: int, problems: Problems) -> float:
    """Accuracy of the bare client."""
    from floor import floor as bare

    return (await bare(url, problems, samples, concurrency)).accuracy


def contestant(name: str, url: str, samples: int, concurrency: int) -> None:
    """In a process of its own: run one contestant and print its figures."""
    problems = json.load(sys.stdin)
    run = {"ours": ours, "floor": floor, "floor-uv": floor}[name]
    for module in ("aiohttp", "uvloop", *(LOADED_LATE if name == "ours" else ())):  # imports are measured elsewhere
        importlib.import_module(module)
    start = {"ours": run_anywhere, "floor": asyncio.run, "floor-uv": importlib.import_module("uvloop").run}[name]
    if name == "ours":
        collect_rarely()  # as the command line does
    wall, cpu = time.perf_counter(), time.process_time()
    accuracy = start(run(url, samples, concurrency, problems))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "accuracy": accuracy, "memory": memory}))


def measured(name: str, url: str, samples: int, concurrency: int, problems: Problems) -> dict[str, float]:
    """Start a contestant and read its figures."""
    command: list[Any] = [sys.executable, __file__, "--contestant", name, "--url", url, "--samples", samples]
    command += ["--concurrency", concurrency]
    if name == "its_hub":
        command = [interpreter(PEER), HERE / "peers" / "its_hub_run.py", url, samples, concurrency]
    done = subprocess.run(list(map(str, command)), input=json.dumps(problems), stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def compare(samples: int, concurrency: int, rounds: int, contestants: list[str], problems: Problems) -> None:
    """One table: contestants side by side at one setting."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
    calls = samples * len(problems)
    for number in range(rounds):
        for name in contestants[number % len(contestants) :] + contestants[: number % len(contestants)]:
            with FakeServerProcess(FakeSettings(latency=0.005, ledger=False)) as server:
                rows[name].append(measured(name, server.url, samples, concurrency, problems))
                sums = server.metrics()
            assert (sums["requests"], sums["in_flight"]) == (calls, 0), f"{name} made {sums['requests']} calls, not {calls}"
            assert sums["max_in_flight"] <= concurrency, f"{name} had {sums['max_in_flight']} requests in flight"
    base = [row["wall"] for row in rows["floor"]] if "floor" in rows else []
    for name in contestants:
        wall, cpu, accuracy, memory = (
            statistics.median(row[key] for row in rows[name]) for key in ("wall", "cpu", "accuracy", "memory")
        )
        ratio = statistics.median(row["wall"] / one for row, one in zip(rows[name], base, strict=True)) if base else float("nan")
        print(
            f"{concurrency:>11}{samples:>5}  {name:<9}{wall:>8.2f}{calls / wall:>9.0f}{cpu * 1000 / calls:>10.3f}"
            f"{ratio:>9.2f}{memory:>8.0f}{accuracy:>10.3f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contestants", nargs="+", default=["floor", "floor-uv", "ours", "its_hub"])
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        return contestant(options.contestant, options.url, options.samples[0], options.concurrency[0])
    problems = HashWorld().problems(options.problems)
    print(f"medians of {options.rounds} rounds; wall / floor is the median of the rounds' ratios")
    print("concurrency    N             wall s  calls/s   ms/call  / floor      MB  accuracy")
    for concurrency in options.concurrency:
        for samples in options.samples:
            compare(samples, concurrency, options.rounds, options.contestants, problems)
    return None


if __name__ == "__main__":
    main()
