"""`python -m train.tiny`: train everything, export it. Resumes where it was killed; finished parts are not done again."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from train.tiny import language
from train.tiny.training import trained

BASE = {"make": 0.45, "search": 0.40, "calc": 0.15}
POLICY = {"make": 0.8, "calc": 0.2}
SEARCH = {"search": 1.0}


def base(folder: Path, minutes: float, seed: int) -> None:
    trained(
        language.lesson("base", BASE, 0.42 * minutes, decay=0.0), folder, seed, marks={"early-3": 0.03 * minutes, "early-5": 0.05 * minutes, "early-8": 0.08 * minutes}
    )


def policy(folder: Path, minutes: float, seed: int) -> None:
    trained(language.lesson("policy", POLICY, 0.30 * minutes, decay=0.9, warm_up=1), folder, seed + 1, folder / "base.pt")


def search(folder: Path, minutes: float, seed: int) -> None:
    trained(language.lesson("search", SEARCH, 0.30 * minutes, decay=0.9, warm_up=1), folder, seed + 2, folder / "base.pt")


STAGES = [[base], [policy, search]]
"""Stages in order; the parts of one stage run at the same time, each in its own process with one thread."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.tiny", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="of training in all, on two cores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("build/tiny"))
    parser.add_argument("--part", help="one part only; its stage must be due")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.part:
        torch.set_num_threads(1)
        part = next(part for stage in STAGES for part in stage if part.__name__ == given.part)
        part(given.folder, given.minutes, given.seed)
        return
    for stage in STAGES:
        command = [sys.executable, "-m", "train.tiny", "--minutes", str(given.minutes), "--seed", str(given.seed)]
        command += ["--folder", str(given.folder), "--part"]
        running = [subprocess.Popen([*command, part.__name__]) for part in stage]
        if any([process.wait() for process in running]):
            sys.exit("a part failed; run the same command again to go on from its last checkpoint")


if __name__ == "__main__":
    main()
