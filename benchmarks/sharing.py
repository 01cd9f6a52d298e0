"""Is sharing real: prompt tokens computed against distinct ones, and tokens per second against no sharing and against the ideal.

    python benchmarks/sharing.py            # the table of docs/sharing.md; some minutes

The tiny reasoner on held-out Countdown problems, scored by the exact solver, so that the generator's work is all there is. Five
ways to run it, each with as many slots: llama.cpp's server core in this process, the same with `cache_prompt` off, llama.cpp's
HTTP server as a second process, the same with `cache_prompt` off, and forked sequences. What was asked, computed and held comes
from each backend's own counts; distinct tokens from the texts themselves. Seconds are of processor time, the server's included,
because a machine that does other things too says nothing in seconds on the wall. The ideal is the engine alone: every distinct
token of prompts and answers once, at the pace of full steps.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from outthink.backends.forked import ForkedBackend
from outthink.backends.forked.context import Context, Entry
from outthink.backends.llamacpp import LlamaCppBackend
from outthink.backends.openai import OpenAIBackend
from outthink.backends.weights import model_file
from outthink.core.backend import Backend, Completion, Request
from outthink.core.prompt import Prompt
from outthink.core.sampling import Sampling
from outthink.evaluation.sharing import tree_tokens
from outthink.session import Session
from outthink.tasks import countdown
from outthink.testing.llama_server import llama_server
from outthink.verifiers.solver import Solver

SEED, CONTEXT, LONG = 2026, 512, 400
WAYS = ("core, no sharing", "core", "HTTP server, no sharing", "HTTP server", "forked")
UNSHARED = {"core": WAYS[0], "HTTP server": WAYS[2], "forked": WAYS[0]}


class Uncached(LlamaCppBackend):
    """The server core without its prompt cache."""

    def body(self, request: Request) -> bytes:
        return json.dumps(json.loads(super().body(request)) | {"cache_prompt": False}).encode()


@dataclass
class Watched:
    """A backend whose answers are counted. asked: prompt and answer of each sample, as texts."""

    backend: Backend
    extra: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def decoded(self) -> int:
        """Tokens that the engine has computed, of prompts and answers; nobody reads on after an answer's last token."""
        if isinstance(self.backend, ForkedBackend):
            return self.backend.computed.tokens
        return self.prompt - self.cached + self.completion - len(self.asked)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    async def complete(self, request: Request) -> Completion:
        sent = replace(request, prompt=replace(request.prompt, extra=self.extra)) if self.extra else request
        found = await self.backend.complete(sent)
        self.asked.append(((request.prompt.text or "") + request.prompt.prefix, found.pieces[0].text))
        self.prompt += found.prompt_tokens or 0
        self.cached += found.cached_tokens
        self.completion += found.completion_tokens or 0
        return found


class Work(NamedTuple):
    """What is asked: a strategy with parameters on Countdown, or, without one, `n` samples of a long prompt."""

    title: str
    strategy: str
    parameters: dict[str, int]


WORK = [
    Work(f"16 samples of a prompt of {LONG} tokens", "", {"n": 16}),
    *(Work(f"best_of_n, n={n}", "best_of_n", {"n": n}) for n in (16, 64)),
    *(Work(f"beam_search, width={n}", "beam_search", {"width": n, "branching": 4}) for n in (16, 64)),
    *(Work(f"rebase, width={n}", "rebase", {"width": n}) for n in (16, 64)),
]


class Found(NamedTuple):
    """One measurement. computed, distinct: of prompt tokens; decoded, whole: of prompts and answers; seconds: of processors."""

    prompt: int
    computed: int
    distinct: int
    decoded: int
    whole: int
    completion: int
    seconds: float
    wall: float


@contextmanager
def served(way: str, slots: int) -> Iterator[str]:
    """The HTTP server's address, where the way needs one."""
    if not way.startswith("HTTP"):
        yield ""
        return
    with llama_server(model_file("tiny"), slots=slots, context=CONTEXT, threads=1) as address:
        yield address


@asynccontextmanager
async def opened(way: str, slots: int, address: str) -> AsyncIterator[Watched]:
    extra = '{"cache_prompt": false}' if way == WAYS[2] else ""
    settings = {"slots": slots, "context": CONTEXT, "threads": 1}
    backend: Backend = {
        WAYS[0]: lambda: Uncached("tiny", **settings),
        WAYS[1]: lambda: LlamaCppBackend("tiny", **settings),
        WAYS[4]: lambda: ForkedBackend("tiny", **settings),
    }.get(way, lambda: OpenAIBackend(address))()
    yield Watched(backend, extra)


def processors() -> float:
    """Seconds that this process and the ones it started have computed."""
    own, ticks = resource.getrusage(resource.RUSAGE_SELF), os.sysconf("SC_CLK_TCK")
    total = own.ru_utime + own.ru_stime
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / ticks
    return total


async def measured(work: Work, way: str, problems: int, slots: int, address: str, context: Context) -> Found:
    asked = countdown.problems(problems, SEED, split="held_out")
    async with opened(way, slots, address) as backend:
        if work.strategy:
            async with Session(
                backend, task="countdown", verifier=Solver(), oracle=True, seed=SEED, concurrency=slots,
                sampling={"temperature": 1.0, "max_tokens": 64},
            ) as session:  # fmt: skip
                await session.solve(asked[0], "single")  # warm
                backend.asked, backend.prompt, backend.cached, backend.completion = [], 0, 0, 0
                before = backend.decoded()
                busy, began = processors(), time.perf_counter()
                for problem in asked:
                    await session.solve(problem, work.strategy, **work.parameters)
                seconds, wall = processors() - busy, time.perf_counter() - began
                decoded = backend.decoded() - before
        else:
            await backend.backend.open()
            seconds, wall = await long_ones(backend, work.parameters["n"], context)
            decoded = backend.decoded()
            await backend.backend.close()
    prompts = [context.tokens(prompt) for prompt, _ in backend.asked]
    whole = tree_tokens(context.tokens(prompt + answer) for prompt, answer in backend.asked).distinct
    computed = backend.prompt - backend.cached
    return Found(backend.prompt, computed, tree_tokens(prompts).distinct, decoded, whole, backend.completion, seconds, wall)


async def long_ones(backend: Watched, n: int, context: Context) -> tuple[float, float]:
    text = "\n".join(f"make {at} from {at} 3 4" for at in range(80))
    prompt = Prompt.raw(text[: len(text) * LONG // len(context.tokens(text))])
    sampling = Sampling(temperature=1.0, max_tokens=32)
    busy, began = processors(), time.perf_counter()
    await asyncio.gather(*(backend.complete(Request(prompt, sampling, [seed])) for seed in range(n)))
    return processors() - busy, time.perf_counter() - began


def pace(context: Context, width: int) -> float:
    """Processor seconds of the engine alone for one token, where `width` sequences go on by one each."""
    times = []
    context.clear()
    context.decode([Entry(20 + at, at, range(width), at == 19) for at in range(20)])
    for step in range(40):
        entries = [Entry(20 + (step * 7 + holder) % 300, 20 + step, (holder,), True) for holder in range(width)]
        began = time.thread_time()
        context.decode(entries)
        times.append(time.thread_time() - began)
    context.clear()
    return statistics.median(times) / width


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--problems", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--only", default="", help="a part of the titles")
    given = parser.parse_args()
    context = Context(model_file("tiny"), cells=4096, threads=1)
    each = pace(context, given.slots)
    columns = (
        "what is asked", "way", "prompt tokens", "computed", "distinct", "with answers: computed", "distinct",
        "tokens per second", "times no sharing", "share of the ideal",
    )  # fmt: skip
    print(row(columns) + "\n" + row(["---"] * len(columns)), flush=True)
    for work in (work for work in WORK if given.only in work.title):
        speed: dict[str, float] = {}
        for way in WAYS:
            found = []
            for _ in range(given.repeat):
                with served(way, given.slots) as address:
                    found.append(asyncio.run(measured(work, way, given.problems, given.slots, address, context)))
            median = Found(*(statistics.median(column) for column in zip(*found, strict=True)))
            speed[way] = median.completion / median.seconds
            ideal = statistics.median(one.completion / (one.whole * each) for one in found)
            against = f"{speed[way] / speed[UNSHARED[way]]:.2f}" if way in UNSHARED else "1"
            numbers = (median.prompt, median.computed, median.distinct, median.decoded, median.whole, speed[way])
            print(
                row([work.title, way, *(f"{number:,.0f}" for number in numbers), against, f"{speed[way] / ideal:.2f}"]),
                flush=True,
            )
    context.close()
    print(f"\nthe engine alone: {1 / each:,.0f} tokens per second in steps of {given.slots}")


if __name__ == "__main__":
    main()
