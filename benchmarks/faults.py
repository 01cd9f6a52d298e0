"""What is lost when a server misbehaves: each misbehaviour alone at 10 %, then all together at 10 % in total.

    python benchmarks/faults.py

Every fault meets two sessions of 25 problems x 16 samples, four samples a request, with log-probabilities and a stop string,
at most six attempts. The first is unbounded: every sample must arrive, and the accounts are held against the server's own.
The second may spend half the tokens of the first: what the server really generated, as far as it obeyed max_tokens, must not
exceed that.

    lost      samples that the server delivered whole and readable, and no run was given
    missing   samples that never arrived within six attempts
    crash     runs that failed, and errors that were raised
    known     completion tokens we account for;  most: together with those that may have been spent
    server    completion tokens the server generated
    excess    tokens by which the bounded session's server went beyond the limit
    bound     whether known <= server <= most (a "-" where the server lied about its usage)
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from outthink import Problem, Session, Usage
from outthink.backends.openai import OpenAIBackend
from outthink.core.logprobs import LogprobNeed
from outthink.core.selection import Result, Stop
from outthink.runtime.batch import Retry
from outthink.runtime.spec import RunSpec
from outthink.tasks.exact import ExactTask
from outthink.testing.fake_server import FAULTS, Accounts, FakeServer, FakeSettings, HashWorld

UNREADABLE = {"null_logprobs", "nan_logprobs", "null_content", "empty_choices"}
LYING = {"wrong_usage", "swallows_stop"}
DISOBEYING = {"ignores_max_tokens"}
PERMANENT = {"redirect_loop"}  # a redirect is not followed and not tried again: its samples are missing, and said to be
CONCURRENCY = 16


@dataclass
class Account:
    """Both sides of one session."""

    results: list[Result]
    server: Accounts
    error: str

    @property
    def usage(self) -> Usage:
        return sum((result.usage for result in self.results), Usage())

    @property
    def delivered(self) -> int:
        return sum(result.usage.samples for result in self.results)

    @property
    def readable(self) -> int:
        """Samples that the server delivered so that a strict client can read them."""
        fit = [entry for entry in self.server.ledger if entry.outcome == "done" and not UNREADABLE & set(entry.faults)]
        return sum(1 if "ignores_n" in entry.faults or "duplicate_indices" in entry.faults else entry.n for entry in fit)


async def session(faults: Mapping[str, float], samples: int, problems: int, tokens: int | None = None) -> Account:
    """Run all problems against a server with these faults."""
    settings = FakeSettings(
        latency=0.002, faults=faults, fault_seed=1, retry_after=0.01, drip=0.002, huge=400_000_000, model="fake"
    )
    results: list[Result] = []
    error = ""
    async with FakeServer(settings, HashWorld()) as server:
        backend = OpenAIBackend(f"{server.url}#fake", engine="vllm", largest=1 << 20)
        backend = OpenAIBackend(
            f"{server.url}#fake", engine="vllm", capabilities=replace(backend.capabilities, n=4), largest=1 << 20
        )
        specs = (
            RunSpec(f"problem {at}", "majority", Problem(id=str(at), text=text), parameters={"n": samples}, ordinal=at)
            for at, (text, _) in enumerate(server.world.problems(problems))  # type: ignore[attr-defined]  # a HashWorld, given above
        )
        with tempfile.TemporaryDirectory() as folder:
            try:
                async with Session(
                    backend,
                    task=ExactTask(r"\\boxed\{(\d+)"),
                    sampling={"max_tokens": 64, "stop": ("}",)},
                    budget=None if tokens is None else f"{tokens} tokens",
                    concurrency=CONCURRENCY,
                    retry=Retry(attempts=6, base=0.005, timeout=3.0),
                    logprobs=LogprobNeed(top=2),
                    journal=Path(folder) / "journal.db",
                ) as opened:
                    results += [result async for _, result in opened.runs(specs)]
            except Exception as raised:  # noqa: BLE001  # counted as a crash, and shown
                error = f"{type(raised).__name__}: {raised}"
        for _ in range(200):  # the server notices what we left a moment later
            if not server.accounts.in_flight:
                break
            await asyncio.sleep(0.01)
        return Account(results, server.accounts, error)


def excess(account: Account, limit: int) -> int:
    """Tokens beyond the limit that the server spent although it obeyed."""
    obeyed = [entry for entry in account.server.ledger if entry.outcome != "refused" and not DISOBEYING & set(entry.faults)]
    return max(0, sum(entry.prompt + entry.generated for entry in obeyed) - limit)


async def row(name: str, faults: Mapping[str, float], samples: int, problems: int) -> bool:
    """Measure and print one row; whether it holds what we promise."""
    free = await session(faults, samples, problems)
    usage, server = free.usage, free.server
    limit = (server.prompt_tokens + server.generated_tokens) // 2
    tight = await session(faults, samples, problems, limit)
    crashes = [result.reason for result in free.results + tight.results if result.stop is Stop.FAILED]
    crashes += [account.error for account in (free, tight) if account.error]
    lost = sum(max(0, each.readable - each.delivered) for each in (free, tight))
    missing = samples * problems - free.delivered
    known, most = usage.completion_tokens, usage.completion_tokens + usage.unknown_completion_tokens
    over, wide = excess(tight, limit), max(server.max_in_flight, tight.server.max_in_flight) > CONCURRENCY
    bound = "yes" if known <= server.generated_tokens <= most else "-" if LYING & faults.keys() else "NO"
    failed = lost or crashes or over or wide or bound == "NO" or usage.calls != server.requests
    good = not failed and (not missing or bool(PERMANENT & faults.keys()))
    print(
        f"{name:<20}{server.requests:>7}{usage.calls:>7}{lost:>6}{missing:>9}{len(crashes):>7}"
        f"{known:>8}{most:>8}{server.generated_tokens:>8}{over:>8}  {bound:<6}{'ok' if good else 'FAILS'}",
        flush=True,
    )
    for reason in dict.fromkeys(crashes):
        print(f"    {reason}")
    if wide:
        print(f"    more than {CONCURRENCY} requests in flight")
    return good


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--problems", type=int, default=25)
    parser.add_argument("--only", default="", help="faults whose name contains this")
    options = parser.parse_args()
    print(
        "fault                server   ours                               completion tokens\n"
        "                      calls  calls  lost  missing  crash   known    most  server  excess  bound"
    )
    cases: dict[str, dict[str, float]] = {"none": {}, **{name: {name: 0.1} for name in FAULTS}}
    cases["all, 10 % in total"] = dict.fromkeys(FAULTS, 0.1 / len(FAULTS))
    held = [await row(name, faults, options.samples, options.problems) for name, faults in cases.items() if options.only in name]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
