"""What search over steps buys on the tiny reasoner: accuracy against all tokens, the verifier's too, by strategy and verifier.

    python benchmarks/search.py measure --folder DIR      # about an hour on two quiet cores; goes on where it was
    python benchmarks/search.py write --folder DIR        # docs/search.md, docs/images/search.png, benchmarks/figures/search.json

200 held-out Countdown problems that no tiny model was trained on; the policy `tiny` at temperature 1. Three verifiers: the one
that was trained (`tiny-verifier`, read by `verdict`), the perfect one (`solver`), and the perfect one with every fifth score
flipped. Tokens are all prompt and completion tokens that were sent and received, by generator and verifier, with nothing taken
off for what a prefix cache saved: what a search pays for its steps is counted in full. Answers are graded by the exact checker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from outthink.core.verifier import Verifier
from outthink.session import Session
from outthink.tasks import countdown
from outthink.testing.noised import Noised
from outthink.verifiers.solver import Solver
from outthink.verifiers.verdict import Verdict

SEED, FLIPPED = 2026, 0.2
NAMES = ("trained", "perfect", "noised")
LADDER = (4, 16, 64)
FLAT = (1, 2, 4, 8, 16, 32, 64, 128)


class Setting(NamedTuple):
    """One point of one curve."""

    verifier: str
    strategy: str
    n: int
    parameters: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.verifier}/{self.strategy}/{self.n}"


def by_size(n: int) -> dict[str, dict[str, Any]]:
    """Parameters with which a strategy grows about as many steps as n answers have."""
    expansions = max(1, 3 * n // 4)
    return {
        "beam_search": {"width": n, "branching": 4},
        "dvts": {"width": n, "branching": 4},
        "rebase": {"width": n},
        "ets": {"width": n},
        "a_star": {"branching": 4, "width": max(1, n // 8), "expansions": expansions},
        "best_first": {"branching": 4, "expansions": expansions},
        "mcts": {"branching": 4, "simulations": 3 * n},
        "particle_filter": {"width": n},
        "particle_gibbs": {"width": max(2, n // 2), "iterations": 2},
        "parallel_tempering": {"width": max(2, n // 4), "iterations": 2},
        "fk_steering": {"width": n},
    }


def settings() -> Iterator[Setting]:
    """Small ones first, so that a part of it is already a picture."""
    for n in FLAT:
        yield Setting("trained", "majority", n, {"n": n})
        for verifier in NAMES:
            for strategy in ("best_of_n", "weighted_majority"):
                yield Setting(verifier, strategy, n, {"n": n})
        if n in LADDER:
            for verifier in NAMES if n == 16 else NAMES[:2]:
                for strategy, parameters in by_size(n).items():
                    yield Setting(verifier, strategy, n, parameters)


def verifier_of(name: str) -> Verifier:
    perfect = Solver()
    return {"trained": Verdict(), "perfect": perfect, "noised": Noised(perfect, FLIPPED, seed=SEED)}[name]


async def measured(setting: Setting, problems: int) -> dict[str, Any]:
    """Correctness and tokens of each problem."""
    asked = countdown.problems(problems, SEED, split="held_out")
    began, busy = time.perf_counter(), time.process_time()
    async with Session(
        "tiny", task="countdown", verifier=verifier_of(setting.verifier), roles={"prm": "tiny-verifier"}, oracle=True, seed=SEED,
        sampling={"temperature": 1.0, "max_tokens": 64},
    ) as session:  # fmt: skip
        results = await asyncio.gather(*[session.solve(problem, setting.strategy, **setting.parameters) for problem in asked])
        right = [(await session.task.grade(problem, [result.answer]))[0] for problem, result in zip(asked, results, strict=True)]
    return {
        "name": setting.name,
        "verifier": setting.verifier,
        "strategy": setting.strategy,
        "n": setting.n,
        "parameters": setting.parameters,
        "right": [int(each) for each in right],
        "tokens": [result.usage.prompt_tokens + result.usage.completion_tokens for result in results],
        "completion": [result.usage.completion_tokens for result in results],
        "cached": [result.usage.cached_tokens for result in results],
        "calls": [result.usage.calls for result in results],
        "failed": sum(len(result.failed) for result in results),
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - busy,
    }


def measure(folder: Path, problems: int, verifiers: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for setting in settings():
        path = folder / f"{setting.name.replace('/', '-')}.json"
        if setting.verifier not in verifiers or path.exists():
            continue
        found = asyncio.run(measured(setting, problems))
        path.write_text(json.dumps(found), encoding="utf-8")
        tokens = sum(found["tokens"]) / problems
        sys.stdout.write(f"{setting.name}: {sum(found['right']) / problems:.3f} at {tokens:.0f} tokens, {found['wall']:.0f} s\n")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("what", choices=["measure", "write"])
    parser.add_argument("--folder", type=Path, required=True, help="where measurements are kept")
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument("--verifiers", default=",".join(NAMES))
    given = parser.parse_args()
    if given.what == "measure":
        measure(given.folder, given.problems, given.verifiers.split(","))
    else:
        from search_report import write

        write(given.folder)


if __name__ == "__main__":
    main()
