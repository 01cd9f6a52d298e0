"""Published figures of estimators and measures against ours, row by row, on recorded counts and pools.

    OUTTHINK_SHARED_DATA=folder python benchmarks/fidelity_estimators.py

A row without a tolerance is shown for reading; one beyond its tolerance makes the exit code 1. Rows whose recordings are
not there are skipped with a reason; those that need none always run.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from outthink.evaluation.arise import arise
from outthink.evaluation.costs import accuracy_per
from outthink.evaluation.estimators import best_at_k, majority_at_k, pass_at_k
from outthink.evaluation.eureka import brackets
from outthink.evaluation.pool import Pool
from outthink.evaluation.problem_samples import ProblemSamples, problem_samples
from outthink.evaluation.resampling import resample
from outthink.evaluation.schema import RECORDED_POOLS
from outthink.evaluation.subsets import best_of
from outthink.evaluation.verifier_truth import Audit, Mixture, ceiling

DATA = Path(os.environ.get("OUTTHINK_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data") / "pools"


@dataclass(frozen=True)
class Row:
    """One figure. tolerance: how far ours may be from theirs, None where it is shown for reading."""

    figure: str
    theirs: float
    ours: float
    tolerance: float | None
    note: str = ""

    @property
    def fine(self) -> bool:
        return self.tolerance is None or abs(self.theirs - self.ours) <= self.tolerance


def rounded(figure: str, theirs: float, ours: float, digits: int, note: str = "") -> Row:
    """A figure that was published with so many digits."""
    return Row(figure, theirs, ours, 0.5001 * 10**-digits, note)


def table(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        raise FileNotFoundError(f"{name} is not here (set OUTTHINK_SHARED_DATA to its folder)")
    return path


def pool(name: str, model: str | None = None) -> Pool:
    found = Pool.read(table(f"{name}.parquet"), columns=RECORDED_POOLS)
    return found if model is None else found.of(model)


def monkeys() -> Iterator[Row]:
    """Large Language Monkeys (arXiv:2407.21787): pass@k from 10,000 samples of 128 MATH problems."""
    counts = pl.read_parquet(table("counts_matrices.parquet")).filter(pl.col("source") == "large-language-monkeys")
    twelve = counts.filter(pl.col("model") == "Pythia 12B")
    for k, theirs in ((10, 0.15682), (100, 0.48343), (1000, 0.72325), (10_000, 0.875)):
        yield rounded(f"Pythia-12B pass@{k}", theirs, float(pass_at_k(twelve["n"], twelve["c"], k).mean()), 5)


def false_positives() -> Iterator[Row]:
    """False positives (arXiv:2502.06217): Qwen2.5-Math-72B on AIME 2022-24; its labels recounted, its counts by pass@N."""
    counts = pl.read_parquet(table("counts_matrices.parquet")).filter(pl.col("source") == "false-positives-in-math")
    n, right = counts["n"].to_numpy(), counts["c"].to_numpy()
    yield rounded("problems with a right answer among 64", 48, float(pass_at_k(n, right, 64).sum()), 0)
    for k, theirs in ((4, 21), (16, 37)):
        chance = pass_at_k(n, right, k)
        spread = math.sqrt(float((chance * (1 - chance)).sum()))
        yield Row(
            f"the same among {k}", theirs, float(chance.sum()), 3 * spread, f"theirs is one draw; its spread is {spread:.1f}"
        )
    for label, found, unsound, rate in (("best-of-256", 32, 6, 0.188), ("pass@64", 48, 17, 0.354)):
        interval = Audit(found, unsound).false_positive_rate
        assert interval is not None
        yield rounded(f"false positives of {label}", rate, interval.value, 3, f"95%: {interval.low:.2f} to {interval.high:.2f}")


def flaws() -> Iterator[Row]:
    """Inference scaling flaws (arXiv:2411.17501): the two-type model with its published parameters."""
    mixture = Mixture([0.58, 0.42], [0.87, 0.13], completeness=1, soundness=0.75)
    for at, theirs in enumerate((0.964, 0.374)):
        yield rounded(f"ceiling of type {at + 1}", theirs, float(ceiling([0.87, 0.13], 1, 0.75)[at]), 3)
    for worth, theirs in ((-0.7, 3), (-1, 2), (-2, 1)):
        yield rounded(f"optimal attempts at {worth:g}", theirs, mixture.optimal_attempts(500, false_positive=worth)[0], 0)
    published = mixture.published_values
    yield rounded("endless value at 0, their formula", 0.870, float(published(5000)[-1]), 3)
    yield Row("endless value at 0, exact", 0.870, float(mixture.values(5000)[-1]), None, "theirs is above the ceiling")
    yield rounded("endless value at -2, their formula", -0.080, float(published(5000, false_positive=-2)[-1]), 3)
    exact = float(mixture.values(5000, false_positive=-2)[-1])
    yield Row("endless value at -2, exact", -0.080, exact, None, "their chance to get there is too high")


def metrics() -> Iterator[Row]:
    """ARISE (arXiv:2510.06014): its code's vectors; the official code skips a step with no tokens, as ours does."""
    for accuracy, tokens, theirs in (
        ([0, 1], [1000, 2000], 0.5),
        ([1, 0], [1000, 2000], -2),
        ([0, 1, 1], [1000, 2000, 9000], 0.5),
        ([0, 1, 0, 1], [1000, 2000, 4000, 8000], -1),
    ):
        yield rounded(f"ARISE of {accuracy}", theirs, float(arise([accuracy], [tokens])[0]), 6)


def generative_verifiers() -> Iterator[Row]:
    """GenRM scaling (arXiv:2504.01005): Llama-3.3-70B on 64 GPQA problems x 128, and 32 verdicts of the first 64."""
    curves = json.loads(table("curves_sc_genrm.json").read_text())["gpqa_diamond_64/Llama-3.3-70B"]
    recorded = pool("gpqa64_llama70b_genrm_128x32")
    problems = list(problem_samples(recorded).values())
    scored = recorded.frame.filter(pl.col("score").is_not_null())
    for curve in curves:
        k, kind, theirs = curve["k"], curve["kind"], curve["value"]
        if kind == "coverage":
            ours = float(np.mean([pass_at_k(each.n, int(each.right.sum()), k) for each in problems]))
            yield rounded(f"coverage@{k}", theirs, ours, 9)
        elif kind == "majority_voting":
            credit = [silence_votes(each, k) for each in problems]
            # theirs are multiples of 1 / 1600: 25 draws of each of 64 problems, one winner in each
            spread = math.sqrt(sum(each * (1 - each) for each in credit) / 25) / len(credit)
            tolerance, note = (1e-9, "") if k == 128 else (4 * spread, f"theirs is 25 draws; their spread is {spread:.3f}")
            yield Row(f"majority@{k}", theirs, statistics.fmean(credit), tolerance, note)
        elif curve["verifications"] == 32:
            best = [best_at_k(rows["score"], rows["correct"], k) for rows in scored.partition_by("problem_id")]
            note = "" if k == 1 else "their rule for equal scores is not stated; ours shares"
            yield Row(f"best of {k}, 32 verdicts", theirs, statistics.fmean(best), 1e-9 if k == 1 else None, note)


def silence_votes(samples: ProblemSamples, k: int) -> float:
    """A vote where "no answer" is a class of its own, as these authors count."""
    counts = np.bincount(samples.classes + 1)
    return majority_at_k(counts.tolist(), [0.0, *samples.class_right.tolist()], k)


def rewards() -> Iterator[Row]:
    """Pools with recorded scores: the figures that their authors' files give."""
    scored = problem_samples(pool("math100_qwen_rm_8"), weights="score", scores="score")
    found = resample(list(scored.values()), [8], resamples=50)
    for name, theirs in (("majority", 0.925), ("best_of_n", 0.940), ("pass@n (oracle)", 0.960)):
        yield rounded(f"MATH-100 reward model, {name} at 8", theirs, found.interval(name, 8).value, 3)
    steps = pl.read_parquet(table("math500_40_qwen1p5b_prm_24.parquet")).partition_by("problem_id")
    yield rounded("MATH-500 (40) mean", 0.382, statistics.fmean(best_of(each["correct"], 1) for each in steps), 3)
    yield rounded(
        "the same, best of 24 by steps", 0.625, statistics.fmean(best_at_k(p["score"], p["correct"], 24) for p in steps), 3
    )
    yield rounded("the same, pass@24", 0.725, statistics.fmean(best_of(each["correct"], 24) for each in steps), 3)


def protocols() -> Iterator[Row]:
    """Eureka's brackets (arXiv:2504.00294) on the reasoners' AIME pool: its order holds, and best-of-8 is the stated pass@8."""
    for model, mean, coverage in (("R1", 0.696, 0.867), ("QwQ", 0.723, 0.850), ("Qwen3", 0.660, 0.883)):
        recorded = pool("aime_reasoners_8x8", model)
        found = brackets(list(problem_samples(recorded).values()), 8)
        yield rounded(f"{model}: average", mean, found.average.value, 3)
        yield rounded(f"{model}: best of 8 (oracle)", coverage, found.best.value, 3)
        ordered = found.worst.value <= min(found.average.value, found.majority.value) <= found.best.value
        note = f"worst {found.worst.value:.3f}, majority {found.majority.value:.3f}"
        yield rounded(f"{model}: worst <= majority <= best", 1, float(ordered), 0, note)
        spent = recorded.frame.group_by("problem_id", maintain_order=True).agg(
            pl.col("completion_tokens").mean(), pl.col("correct").mean()
        )
        per = accuracy_per(spent["correct"], spent["completion_tokens"], unit=10_000)
        yield Row(f"{model}: right answers per 10k tokens", math.nan, per.value, None, f"95%: {per.low:.2f} to {per.high:.2f}")


PARTS: tuple[Callable[[], Iterator[Row]], ...] = (
    monkeys, false_positives, flaws, metrics, generative_verifiers, rewards, protocols,
)  # fmt: skip


def main() -> int:
    wrong = shown = skipped = 0
    for part in PARTS:
        print(f"\n{part.__doc__}")
        try:
            for row in part():
                shown += 1
                wrong += not row.fine
                mark = "  " if row.tolerance is None else "ok" if row.fine else "!!"
                theirs = "" if math.isnan(row.theirs) else f"{row.theirs:.5g}"
                print(f"  {mark} {row.figure:<44} theirs {theirs:>9}  ours {row.ours:>9.5g}  {row.note}")
        except FileNotFoundError as missing:
            skipped += 1
            print(f"  skipped: {missing}")
    print(f"\n{shown} figures, {wrong} beyond their tolerance, {skipped} groups skipped")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
