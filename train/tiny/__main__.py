"""`python -m train.tiny`: train everything and export it.

A killed training goes on from its last checkpoint when the same command is given again; finished parts are not done again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from train.tiny import language, multifurcation, verifier
from train.tiny.export import export
from train.tiny.labels import rollouts
from train.tiny.training import loaded, trained

BASE = {"make": 0.45, "search": 0.40, "calc": 0.15}
POLICY = {"make": 0.8, "calc": 0.2}
SEARCH = {"search": 1.0}
SHARE_OF_WALKS = 0.4

SHIPPED = {
    "tiny": "policy",
    "tiny-search": "search",
    "tiny-weak": "weak",
    "tiny-verifier": "verifier",
    "tiny-verifier-rollouts": "verifier-rollouts",
    "tiny-rewards": "rewards",
}
"""Names of the exported files, and of the weights that they hold."""


@dataclass(frozen=True)
class Plan:
    """Where everything goes, how long all of it takes, and the seed."""

    folder: Path
    minutes: float
    seed: int


def base(plan: Plan) -> None:
    """One model learns everything at a constant rate; an early state of it is the weak model."""
    lesson = language.lesson("base", BASE, 0.35 * plan.minutes)
    trained(lesson, plan.folder, plan.seed, marks={"weak": plan.minutes / 15})


def policy(plan: Plan) -> None:
    """The generator: direct solutions and sums, while the rate falls."""
    lesson = language.lesson("policy", POLICY, 0.25 * plan.minutes, decay=0.9)
    trained(lesson, plan.folder, plan.seed + 1, plan.folder / "base.pt")


def search(plan: Plan) -> None:
    """The generator of searches, from the same beginnings."""
    lesson = language.lesson("search", SEARCH, 0.25 * plan.minutes, decay=0.9)
    trained(lesson, plan.folder, plan.seed + 2, plan.folder / "base.pt")


def verifier_exact(plan: Plan) -> None:
    """The verifier that learns the solver's labels."""
    _verifier(plan, "verifier", plan.seed + 3, monte_carlo=False)


def verifier_rollouts(plan: Plan) -> None:
    """The verifier that learns Monte-Carlo labels."""
    _verifier(plan, "verifier-rollouts", plan.seed + 4, monte_carlo=True)


def _verifier(plan: Plan, name: str, seed: int, *, monte_carlo: bool) -> None:
    start = plan.folder / "policy.pt"
    lesson = verifier.lesson(
        name,
        lambda: rollouts(loaded(start), seed, 0.08 * plan.minutes, monte_carlo=monte_carlo),
        0.32 * plan.minutes,
        share_of_walks=SHARE_OF_WALKS,
        monte_carlo=monte_carlo,
    )
    trained(lesson, plan.folder, seed, start)


def rewards(plan: Plan) -> None:
    """The multifurcation reward model, a smaller one that begins with some of the policy's layers; ends after steps."""
    policy, seed = plan.folder / "policy.pt", plan.seed + 5
    lesson = multifurcation.lesson(
        "rewards",
        lambda: rollouts(loaded(policy), seed, most=240 * plan.minutes, monte_carlo=False),
        round(28 * plan.minutes),
        share_of_walks=SHARE_OF_WALKS,
    )
    trained(lesson, plan.folder, seed, multifurcation.begun(policy, plan.folder / "rewards-begun.pt"))


STAGES: list[list[Callable[[Plan], None]]] = [[base], [policy, search], [verifier_exact, verifier_rollouts], [rewards]]
"""Stages in order; the parts of one stage run at the same time, each in its own process with one thread."""


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(prog="python -m train.tiny", description=__doc__)
    parser.add_argument("--minutes", type=float, default=72.0, help="on two cores; the reward model takes some more of one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("build/tiny"))
    parser.add_argument("--part", help="one part only; its stage must be due")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.part:
        torch.set_num_threads(1)
        part = next(part for stage in STAGES for part in stage if part.__name__ == given.part)
        part(Plan(given.folder, given.minutes, given.seed))
        return
    command = [sys.executable, "-m", "train.tiny", "--minutes", str(given.minutes), "--seed", str(given.seed)]
    command += ["--folder", str(given.folder), "--part"]
    for stage in STAGES:
        running = [subprocess.Popen([*command, part.__name__]) for part in stage]
        codes = [process.wait() for process in running]
        if any(codes):
            sys.exit("a part failed; give the same command again to go on from its last checkpoint")
    for name, weights in SHIPPED.items():
        export(
            given.folder / f"{weights}.pt", given.folder / f"{name}.gguf", name, quantised=True, reference=name == "tiny-rewards"
        )


if __name__ == "__main__":
    main()
