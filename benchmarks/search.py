"""What search over steps buys on the tiny reasoner: accuracy against all tokens, the verifier's too, by strategy and verifier.

    python benchmarks/search.py measure --folder DIR      # about three hours on a quiet core; goes on where it was
    python benchmarks/search.py write --folder DIR        # docs/search.md, docs/images/search.png, benchmarks/figures/search.json

200 held-out Countdown problems that no tiny model was trained on; the policy `tiny` at temperature 1. Three verifiers: the one
that was trained (`tiny-verifier`, read by `verdict`), the perfect one (`solver`), and the perfect one with every fifth score
flipped; `saffron` has a trained one of its own, `tiny-rewards`. Tokens are all prompt and completion tokens that were sent and
received, by generator and verifier, with nothing taken off for what a prefix cache saved: what a search pays for its steps is
counted in full. Answers are graded by the exact checker.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from outthink.core.capability import Needs
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Samples
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.core.task import Answer
from outthink.core.verifier import Verifier
from outthink.parts.aggregation import aggregated
from outthink.parts.voting import Best, Scores, Tally, growing
from outthink.session import Session
from outthink.tasks import countdown
from outthink.testing.noised import Noised
from outthink.verifiers.solver import Solver
from outthink.verifiers.verdict import Verdict

SEED, FLIPPED = 2026, 0.2
NAMES = ("trained", "perfect", "noised")
LADDER = (4, 16, 64)
"""Sizes of a search: with the beginnings that it sends again, most of 64 pay for more tokens than 128 whole answers."""
WIDTHS = (1, *LADDER)
"""Of SAFFRON, which knows one verifier only."""
FLAT = (1, 2, 4, 8, 16, 32, 64, 128)
RULES = {"best_of_n": Best, "best_of_n_steps": Best, "weighted_majority": Tally, "majority": Tally}
"""Flat strategies. `best_of_n_steps` looks at the product of the scores of all steps, the others at the whole answer's."""


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
    branching = max(4, n // 4)  # where a node is asked once, few children end a search early
    expansions = max(1, 3 * n // branching)
    return {
        "beam_search": {"width": n, "branching": 4},
        "dvts": {"width": n, "branching": 4},
        "rebase": {"width": n},
        "ets": {"width": n},
        "a_star": {"branching": branching, "width": max(1, n // 8), "expansions": expansions},
        "best_first": {"branching": branching, "expansions": expansions},
        "mcts": {"branching": branching, "simulations": 4 * expansions},
        "particle_filter": {"width": n},
        "particle_gibbs": {"width": max(2, n // 2), "iterations": 2},
        "parallel_tempering": {"width": max(2, n // 4), "iterations": 2},
        "fk_steering": {"width": n},
    }


def settings() -> Iterator[Setting]:
    """Small ones first, so that a part of it is already a picture."""
    yield from (Setting("trained", "saffron", n, {"width": n}) for n in WIDTHS)
    for n in LADDER:
        for verifier in NAMES:
            for name, parameters in by_size(n).items():
                yield Setting(verifier, name, n, parameters)


def verifier_of(name: str) -> Verifier:
    perfect = Solver()
    known: dict[str, Verifier] = {"trained": Verdict(), "perfect": perfect, "noised": Noised(perfect, FLIPPED, seed=SEED)}
    return known[name]


async def measured(setting: Setting, problems: int) -> dict[str, Any]:
    """Correctness and tokens of each problem."""
    asked = countdown.problems(problems, SEED, split="held_out")
    began, busy = time.perf_counter(), time.process_time()
    roles = {"prm": "tiny-verifier", **({"mrm": "tiny-rewards"} if setting.strategy == "saffron" else {})}
    async with Session(
        "tiny", task="countdown", verifier=verifier_of(setting.verifier), roles=roles, oracle=True, seed=SEED,
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


def flat_row(verifier: str, rule: str, n: int, curves: list[tuple[list[bool], list[float], int]]) -> dict[str, Any]:
    """What the first n answers of each problem give: (right, tokens) after each, and how many there are."""
    scored = {"majority": 0, "best_of_n_steps": 3}.get(rule, 1) if verifier == "trained" else 0
    return {
        "name": f"{verifier}/{rule}/{n}",
        "verifier": verifier,
        "strategy": rule,
        "n": n,
        "parameters": {"n": n},
        "right": [int(right[min(n, count) - 1]) for right, _, count in curves],
        "tokens": [tokens[min(n, count) - 1] for _, tokens, count in curves],
        "calls": [n * (1 + scored)] * len(curves),
        "failed": sum(FLAT[-1] - count for _, _, count in curves),
    }


async def sampled(problems: int) -> list[dict[str, Any]]:
    """Every flat strategy at every n, from one drawing of whole answers: the first n of them, scored by each verifier."""
    asked = countdown.problems(problems, SEED, split="held_out")
    drawn: dict[str, tuple[Samples, list[Answer], dict[tuple[str, bool], Scores], dict[bool, int]]] = {}

    @strategy("sampled", needs={Needs.SCORES})
    async def draws(run: Run, problem: Problem) -> Selection:
        """Draw and score; what is chosen is decided later."""
        samples = await run.generate(problem, FLAT[-1])
        answers = await run.answers(problem, samples)
        beginnings = [[replace(sample, text=text) for text in run.steps.split(sample.whole)] for sample in samples]
        every = [beginning for each in beginnings for beginning in each]
        scores: dict[tuple[str, bool], Scores] = {}
        paid: dict[bool, int] = {}
        for name in NAMES:
            verifier = verifier_of(name)
            for steps, texts in ((False, list(samples)), (True, every)):
                before = run.spent
                given = await (run.score(problem, texts) if name == "trained" else verifier.score(run, problem, texts))
                if name == "trained":
                    spent = run.spent
                    paid[steps] = spent.prompt_tokens + spent.completion_tokens - before.prompt_tokens - before.completion_tokens
                if steps:
                    rest = iter(given)
                    given = [aggregated([next(rest) for _ in each], "product") for each in beginnings]
                scores[name, steps] = given
        paid[True] += paid[False]  # whole answers were remembered
        drawn[problem.id] = samples, answers, scores, paid
        return Selection(None)

    async with Session(
        "tiny", task="countdown", verifier=verifier_of("trained"), roles={"prm": "tiny-verifier"}, oracle=True, seed=SEED,
        sampling={"temperature": 1.0, "max_tokens": 64},
    ) as session:  # fmt: skip
        await asyncio.gather(*[session.solve(problem, draws) for problem in asked])
        found = []
        for verifier, rule in [
            ("trained", "majority"),
            *((name, rule) for name in NAMES for rule in ("best_of_n", "best_of_n_steps", "weighted_majority")),
        ]:
            curves = []
            for problem in asked:
                samples, answers, scores, paid = drawn[problem.id]
                chosen = list(
                    growing(
                        samples,
                        answers,
                        None if rule == "majority" else scores[verifier, rule == "best_of_n_steps"],
                        tally=RULES[rule],
                    )
                )
                right = await session.task.grade(problem, [selection.answer for selection in chosen])
                each = paid[rule == "best_of_n_steps"] / len(samples) if verifier == "trained" and rule != "majority" else 0.0
                own = [sample.usage.prompt_tokens + sample.usage.completion_tokens for sample in samples]
                curves.append((right, list(accumulate(tokens + each for tokens in own)), len(samples)))
            found += [flat_row(verifier, rule, n, curves) for n in FLAT]
    return found


def measure(folder: Path, problems: int, verifiers: list[str], strategies: list[str]) -> None:
    """Measure what isn't there yet. strategies: these searches only; empty for all there is."""
    folder.mkdir(parents=True, exist_ok=True)

    def keep(found: dict[str, Any]) -> None:
        path_of(found["name"]).write_text(json.dumps(found), encoding="utf-8")
        level, tokens = sum(found["right"]) / problems, sum(found["tokens"]) / problems
        sys.stdout.write(f"{found['name']}: {level:.3f} at {tokens:.0f} tokens, {found.get('wall', 0):.0f} s\n")
        sys.stdout.flush()

    def path_of(name: str) -> Path:
        return folder / f"{name.replace('/', '-')}.json"

    if "flat" in verifiers and not strategies and not path_of(f"noised/best_of_n_steps/{FLAT[-1]}").exists():
        for found in asyncio.run(sampled(problems)):
            keep(found)
    for setting in settings():
        wanted = setting.verifier in verifiers and (not strategies or setting.strategy in strategies)
        if wanted and not path_of(setting.name).exists():
            keep(asyncio.run(measured(setting, problems)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("what", choices=["measure", "write"])
    parser.add_argument("--folder", type=Path, required=True, help="where measurements are kept")
    parser.add_argument("--problems", type=int, default=200)
    parser.add_argument(
        "--verifiers", default=",".join(("flat", *NAMES)), help="what to measure: flat is sampling without search"
    )
    parser.add_argument("--strategies", default="", help="measure these searches only, and nothing flat")
    given = parser.parse_args()
    if given.what == "measure":
        measure(given.folder, given.problems, given.verifiers.split(","), [name for name in given.strategies.split(",") if name])
    else:
        from search_report import write

        write(given.folder)


if __name__ == "__main__":
    main()
