"""Strategies that stop early, replayed on recorded pools: published figures against ours.

    OUTTHINK_SHARED_DATA=folder python benchmarks/fidelity_stopping.py [--replicates 4]

First part: theirs | ours | difference; beyond its tolerance the exit code is 1. Second part: DeepConf's rules by perplexities of
chunks, and the paired difference from the exact majority of as many samples. The rest is held against majority by `evidence.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from outthink.core.budget import Budget
from outthink.core.selection import Result
from outthink.evaluation.curves import at_k, plurality_at_k
from outthink.evaluation.intervals import accuracy, difference
from outthink.evaluation.pool import Pool
from outthink.evaluation.recorded import RecordedTask
from outthink.evaluation.schema import RECORDED_POOLS
from outthink.parts.confidence import quantile
from outthink.parts.conformal import Calibration, Turns
from outthink.runtime.clock import run_virtually
from outthink.runtime.spec import RunSpec
from outthink.session import Session

FOLDER = Path(os.environ.get("OUTTHINK_SHARED_DATA", "shared/data")) / "pools"
FINISHERS = {  # art_of_tts traces: AIME24, AIME25-I, AIME25-II
    ("R1", "FFS-1"): (0.867, 0.667, 0.733),
    ("R1", "FFS-3"): (0.883, 0.689, 0.889),
    ("R1", "LFS-1"): (0.700, 0.533, 0.467),
    ("QwQ", "FFS-1"): (0.800, 0.600, 0.800),
    ("QwQ", "LFS-1"): (0.767, 0.533, 0.667),
    ("R1DistilQwen", "FFS-1"): (0.833, 0.533, 0.400),
    ("Qwen3", "FFS-1"): (0.400, 0.400, 0.400),
}
SETTINGS: dict[str, dict[str, Any]] = {"FFS-1": {}, "FFS-3": {"k": 3}, "LFS-1": {"last": True}}


@dataclass(frozen=True)
class Tried:
    """One strategy on one pool: per problem its mean credit, samples and completion tokens."""

    credit: np.ndarray[Any, Any]
    samples: np.ndarray[Any, Any]
    tokens: np.ndarray[Any, Any]


def pool(name: str, model: str | None = None) -> Pool:
    """A recorded pool of one model."""
    found = Pool.read(FOLDER / f"{name}.parquet", columns=RECORDED_POOLS)
    return found if model is None else found.of(model)


def tried(recorded: Pool, strategy: str, replicates: int = 1, **parameters: Any) -> Tried:
    """Run a strategy on each problem of a pool, on a clock that takes no time."""
    task = RecordedTask(recorded)
    found: dict[str, list[tuple[float, int, int]]] = defaultdict(list)

    async def main() -> None:
        specs = [
            RunSpec(f"{problem.id}/{replicate}", strategy, problem, Budget.of(None), parameters, 0, at)
            for at, problem in enumerate(recorded.problems)
            for replicate in range(replicates)
        ]
        settings = {"max_tokens": 1_000_000}
        async with Session(recorded.backend(sleep=True), task=task, sampling=settings, oracle=True) as session:
            async for spec, result in session.runs(specs):
                right = await credited(task, spec, result)
                found[spec.problem.id].append((right, result.usage.samples, result.usage.completion_tokens))

    run_virtually(main())
    table = np.array([np.mean(found[problem.id], axis=0) for problem in recorded.problems])
    return Tried(table[:, 0], table[:, 1], table[:, 2])


async def credited(task: RecordedTask, spec: RunSpec, result: Result) -> float:
    """1 for a right answer, 0 for a wrong one or none; tied answers share it, as in the published figures."""
    chosen = result.selection
    if chosen is None or chosen.answer_class is None:
        return 0.0
    tied = [name for name, votes in chosen.votes.items() if votes == max(chosen.votes.values())]
    return float(np.mean(await task.grade(spec.problem, tied)))


Line = tuple[str, float, float, float | None]
"""What, theirs, ours, how far apart they may be (None: for reading)."""


def last_letters(replicates: int) -> Iterator[Line]:
    """Adaptive-Consistency and ESC on GPT-3.5's last letters, at most 40 samples, in random order."""
    recorded = pool("lastletters_gpt35_T07")
    yield "last letters, majority@40", 0.816, float(at_k(recorded, plurality_at_k, 40).mean()), 0.001
    yield "last letters, majority@5", 0.805, float(at_k(recorded, plurality_at_k, 5).mean()), 0.004
    cases: list[tuple[str, str, dict[str, Any], float, float]] = [
        ("ESC w=5", "early_stopping_consistency", {"window": 5}, 0.815, 9.4),
        ("ESC w=8", "early_stopping_consistency", {"window": 8}, 0.816, 14.6),
        ("AC beta", "adaptive_consistency", {}, 0.815, 6.8),
    ]
    for name, strategy, parameters, right, samples in cases:
        ours = tried(recorded, strategy, replicates, n=40, **parameters)
        yield f"last letters, {name}, accuracy", right, float(ours.credit.mean()), 0.006
        yield f"last letters, {name}, samples", samples, float(ours.samples.mean()), 0.35


def finishers() -> Iterator[Line]:
    """First and last finish search on recorded lengths."""
    share: dict[str, float] = {"R1": 0.65, "R1DistilQwen": 0.55, "QwQ": 0.72, "Qwen3": 0.30, "GPT-OSS-120B": 0.76}
    for (model, name), theirs in FINISHERS.items():
        ours = tried(recorded := pool("aime_reasoners_8x8", model), "first_finish", n=8, **SETTINGS[name])
        ids = [problem.id for problem in recorded.problems]
        for prefix, right in zip(("aime2024/", "aime2025-i/", "aime2025-ii/"), theirs, strict=True):
            mine = float(np.mean([credit for credit, at in zip(ours.credit, ids, strict=True) if at.startswith(prefix)]))
            yield f"{model} {name}, {prefix[:-1]}", right, mine, 0.0005
    for model, theirs_share in share.items():
        recorded = pool("aime_reasoners_8x8", model)
        ours = tried(recorded, "first_finish", n=8)
        whole = float(recorded.frame["completion_tokens"].sum() / len(recorded.problems))
        yield f"{model} FFS-1, tokens / majority@8's (theirs with GPQA)", theirs_share, float(ours.tokens.mean()) / whole, None


def conformal() -> Iterator[Line]:
    """ATTS's recorded run: 100 problems x 16, level 0.4."""
    frame = pl.read_parquet(FOLDER / "math500_100_chunk_attempts.parquet").filter(pl.col("config").str.starts_with("R1L8B_Qwen"))
    [config] = [name for name, n in frame["config"].value_counts().iter_rows() if n == 6065]
    frame = frame.filter(pl.col("config") == config)
    rejected = (pl.col("percentile") >= 0.6).mean()
    by_turn = dict(frame.group_by("turn").agg(rejected).iter_rows())
    for turn, theirs in {0: 0.4025, 1: 0.301, 2: 0.391}.items():
        yield f"ATTS rejects at turn {turn}", theirs, by_turn[turn], 0.0006
    yield "ATTS rejects, all turns", 0.413, float(frame.select(rejected).item()), 0.0006
    # Calibrate on the first half of the problems, test on the other; then per turn.
    ids = sorted(frame["problem_id"].unique())
    seen = frame.with_columns(early=pl.col("problem_id").is_in(ids[::2]), score=-pl.col("ppl").cast(pl.Float64))
    turns = range(10)
    scores = {early: [seen.filter((pl.col("turn") == turn) & (pl.col("early") == early))["score"].to_list() for turn in turns]
              for early in (True, False)}  # fmt: skip
    first, each = Calibration(scores[True][0]), Turns(scores[True])
    late = [(turn, score) for turn in turns if turn >= 3 for score in scores[False][turn]]
    first_scores = scores[False][0]
    yield "coverage: turn 0, other problems", 0.4, _share([first.rejects(s, 0.4) for s in first_scores]), None
    yield "coverage: turns 3-9 by turn 0's scores (drift)", 0.45, _share([first.rejects(s, 0.4) for _, s in late]), None
    yield "coverage: turns 3-9, calibrated per turn", 0.4, _share([each.at(t).rejects(s, 0.4) for t, s in late]), None


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found)


def equal_spending(recorded: Pool, ours: Tried) -> tuple[str, str, str]:
    """Accuracy with its interval, mean cost, and the paired difference from majority at that cost."""
    recorded_tokens = recorded.frame["completion_tokens"].null_count() == 0
    mean = recorded.frame["completion_tokens"].mean() if recorded_tokens else 1.0
    per_sample = float(mean)  # type: ignore[arg-type]  # a column of numbers
    spent = float((ours.tokens if recorded_tokens else ours.samples).mean())
    most = min(recorded.rows(problem.id).height for problem in recorded.problems)
    k = min(max(spent / per_sample, 1.0), most)
    low, high = int(np.floor(k)), min(int(np.floor(k)) + 1, most)
    plain = (1 - (k - low)) * at_k(recorded, plurality_at_k, low) + (k - low) * at_k(recorded, plurality_at_k, high)
    gap = difference(np.clip(ours.credit, 0, 1), np.clip(plain, 0, 1))
    verdict = "loses" if gap.high < 0 else "wins" if gap.low > 0 else "even"
    cost = f"{spent:,.0f} tokens" if recorded_tokens else f"{spent:.1f} samples"
    return str(accuracy(np.clip(ours.credit, 0, 1))), f"{cost} = majority@{k:.1f}", f"{gap} {verdict}"


def chunk_confidence() -> Iterator[tuple[str, str, str, str, str]]:
    """DeepConf's rules where only perplexities of chunks of 500 tokens were recorded: a group's confidence is 1 / perplexity.

    Offline: all 40 samples are paid for. Online: 16 whole ones, then 24 that are left at the first chunk below the threshold.
    """
    frame = pl.read_parquet(FOLDER / "math500_100_r1llama8b_80_chunkppl.parquet").filter(pl.col("sample_index") < 40)
    recorded = pool("math500_100_r1llama8b_80_chunkppl")
    by_problem = {str(key[0]): rows for key, rows in frame.partition_by("problem_id", as_dict=True).items()}
    rules: dict[str, tuple[Any, float]] = {}
    for form in ("least", "tail", "mean"):
        rules |= {f"DeepConf {form}, keep {keep:.0%}": (form, keep) for keep in (0.1, 0.9)}
    rules |= {f"DeepConf online, keep {keep:.0%}": ("online", keep) for keep in (0.1, 0.9)}
    for label, (form, keep) in rules.items():
        credit, chunks, whole = [], [], []
        for problem in recorded.problems:
            rows = by_problem[problem.id]
            groups = [[1 / ppl for ppl in steps if ppl] or [0.0] for steps in rows["step_scores"].to_list()]
            read = {"least": min, "online": min, "tail": lambda each: each[-1], "mean": np.mean}[form]
            sure = [float(read(each)) for each in groups]
            least = quantile(sure[:16] if form == "online" else sure, 1 - keep)
            votes: dict[str, float] = defaultdict(float)
            right: dict[str, bool] = {}
            for answer, correct, value in zip(rows["answer"], rows["correct"], sure, strict=True):
                right[answer] = bool(correct)
                votes[answer] += value if value >= least else 0.0
            credit.append(float(right[max(votes, key=lambda answer: votes[answer])]))
            lengths = [len(each) for each in groups]
            whole.append(np.mean(lengths))
            if form == "online":
                stops = [next((at for at, value in enumerate(each, 1) if value < least), len(each)) for each in groups[16:]]
                lengths = lengths[:16] + stops
            chunks.append(sum(lengths))
        share = float(np.sum(chunks) / np.sum(whole))
        ours = Tried(np.array(credit), np.full(len(credit), share), np.zeros(len(credit)))
        yield "MATH-500 x 40, R1-Llama-8B", label, *equal_spending(recorded, ours)


def main() -> int:
    """Print everything; returns the exit code."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--replicates", type=int, default=2, help="seeded orders per problem")
    replicates = given.parse_args().replicates
    bad = 0
    print(f"{'published':58} theirs   ours     difference")
    for what, theirs, ours, tolerance in (*last_letters(replicates), *finishers(), *conformal()):
        far = tolerance is not None and abs(ours - theirs) > tolerance
        bad += far
        mark = "  BEYOND ITS TOLERANCE" if far else ""
        print(f"{what:58} {theirs:<8.4g} {ours:<8.4f} {ours - theirs:+.4f}{mark}", flush=True)
    print(f"\n{'pool':28} {'strategy':26} {'accuracy':22} {'cost':32} against majority at equal cost")
    for name, label, right, cost, gap in chunk_confidence():
        print(f"{name:28} {label:26} {right:22} {cost:32} {gap}", flush=True)
    return min(bad, 1)


if __name__ == "__main__":
    sys.exit(main())
