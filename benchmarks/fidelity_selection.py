"""Voting and selection against published figures, other implementations, and plain majority at equal spending.

    python benchmarks/fidelity_selection.py [--data FOLDER] [--replicates 8] [--live PROBLEMS]

Row by row: figures that follow from recorded samples, theirs and ours; choices of our selectors and of scorio's (pip install
scorio; left out where it isn't there) and of an RPC written with SciPy; then every strategy of this family against majority
on recorded samples, with intervals. --live adds the strategies that need a model (the embedded one), on so many problems.
FOLDER holds the recorded `pools`; its default is the variable OUTTHINK_SHARED_DATA.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from selection_oracles import AIME, CHARACTERS, Pools, agreement, rpc_agreement, targets

from outthink import evaluate
from outthink.core.logprobs import LogprobNeed
from outthink.evaluation.pool import Pool
from outthink.evaluation.recorded import RecordedScores, RecordedTask
from outthink.evaluation.rows import Row
from outthink.tasks import arithmetic

SCORED = pl.col("score").is_not_null()


@dataclass(frozen=True)
class Trial:
    """A strategy with parameters on recorded pools, at these numbers of samples."""

    strategy: str
    pools: tuple[tuple[str, str], ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    ns: tuple[int, ...] = (8, 32)

    @property
    def label(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.strategy}({settings})" if settings else self.strategy


REASONERS = tuple((AIME, model) for model in ("R1", "QwQ", "GPT-OSS-120B", "Qwen3", "R1DistilQwen"))
WITH_SCORES = (
    ("humaneval_codegen16b_100x100tests", ""),
    ("gpqa64_llama70b_genrm_128x32", ""),
    ("math500_40_qwen1p5b_prm_24", ""),
)
WITH_TEXTS = (
    ("math500_40_qwen1p5b_prm_24", ""),
    ("game24_gpt4_100x100", "gpt-4(2023)-io"),
    ("game24_gpt4_100x100", "gpt-4(2023)-cot"),
)
LLAMA = ("math500_100_r1llama8b_80_chunkppl", "")
RECORDED = (
    Trial("rpc", (LLAMA,)),
    Trial("rpc", (LLAMA,), {"prune": "none"}),
    Trial("best_of_majority", WITH_SCORES, ns=(8, 20)),
    Trial("best_of_majority", WITH_SCORES, {"alpha": 0.1}, ns=(8, 20)),
    Trial("best_of_majority", WITH_SCORES, {"alpha": 0.1, "pooled": "mean"}, ns=(8, 20)),
    Trial("best_of_majority", (("math100_qwen_rm_8", ""),), {"alpha": 0.25}, ns=(8,)),
    Trial("length_selected", REASONERS, ns=(8,)),
    Trial("length_selected", REASONERS, {"rule": "best"}, ns=(8,)),
    Trial("length_selected", REASONERS, {"prefer": "longest"}, ns=(8,)),
    Trial("length_selected", (LLAMA, ("lastletters_gpt35_T07", ""))),
    Trial("marker_selected", WITH_TEXTS, ns=(8, 20)),
    Trial("marker_selected", WITH_TEXTS, {"marker": "discourse"}, ns=(8, 20)),
    Trial("multi_temperature", (LLAMA, *REASONERS[:2]), {"temperatures": "recorded", "min_rounds": 4}, ns=(8,)),
    Trial("xmbr", (LLAMA, *REASONERS[:2]), {"utility": "answers", "m": 0, "hedge": False}, ns=(8,)),
    Trial("hedged", (LLAMA, *REASONERS[:2]), {"hedge": False}, ns=(8,)),
)  # fmt: skip
LIVE: dict[str, dict[str, Any]] = {
    "rpc": {},
    "multi_temperature": {},
    "hedged": {},
    "chops": {"judge_tokens": 128},
    "universal_self_consistency": {"judge_tokens": 128},
    "xmbr": {"utility": "answers", "m": 0},
}
"""nothinking is not among them: the embedded model has no thinking block to skip."""


def pool_of(pools: Pools, name: str, model: str) -> tuple[Pool, str]:
    """A pool and what its spending is counted in."""
    keep = SCORED if name.startswith("gpqa") else None
    characters = name in ("math500_100_r1llama8b_80_chunkppl", "lastletters_gpt35_T07")
    found = pools.read(name, model, keep, CHARACTERS if characters else None)
    counted = found.frame["completion_tokens"].null_count() == 0
    return found, "characters" if characters else "tokens" if counted else "samples"


def against_majority(trial: Trial, pool: Pool, replicates: int) -> Iterator[Row]:
    """Rows of a trial on one pool, compared with majority on the same draws at what it spent itself."""
    parameters = dict(trial.parameters)
    if parameters.get("temperatures") == "recorded":
        parameters["temperatures"] = (float(pool.frame["temperature"][0]),)
    task = RecordedTask(pool)
    fewest = min(group.height for group in pool.frame.partition_by("problem_id"))
    ns = [n for n in trial.ns if n <= fewest] or [fewest]
    ladder = sorted({1, 2, 4, *ns, *[n // 2 for n in ns]})
    found = evaluate(
        pool.problems, strategies=["majority", trial.strategy], budgets=[f"{n} samples" for n in ladder],
        model=pool.backend(), task=task, verifier=RecordedScores(), replicates=replicates,
        sampling={"max_tokens": 10_000_000}, parameters={trial.strategy: parameters},
    )  # fmt: skip
    wanted = {f"{n} samples" for n in ns}
    for row in found.rows:
        if row.strategy == trial.strategy and row.budget in wanted:
            yield row


def verdict(row: Row) -> str:
    """What the interval of the difference says."""
    if row.difference is None or row.difference_low is None or row.difference_high is None:
        return "nothing to compare with"
    if row.difference_high < 0:
        return "LOSES"
    if row.difference_low > 0:
        return "wins"
    return "no difference seen"


def shown(label: str, where: str, unit: str, row: Row) -> str:
    spent = row.samples if unit == "samples" else row.completion_tokens
    assert row.accuracy is not None, "recorded samples are graded"
    gap = "" if row.difference is None else f"{row.difference:+.3f} [{row.difference_low:+.3f}, {row.difference_high:+.3f}]"
    return (
        f"{label:<52} {where:<44} {row.samples:5.1f} {spent:>12,.0f} {unit:<10} "
        f"{row.accuracy:.3f} [{row.low:.3f}, {row.high:.3f}]  {row.baseline_accuracy or math.nan:.3f}  {gap}  {verdict(row)}"
    )


def live(problems: int) -> None:
    """Strategies that need a model, on arithmetic by the embedded one; a judge is this small model itself."""
    print(f"\nlive: the embedded model on {problems} sums, 8 samples; its own judge\n")
    found = evaluate(
        arithmetic.problems(problems, seed=7), strategies=["majority", *LIVE], budgets=["4 samples", "8 samples", "16 samples"],
        task="arithmetic", parameters={name: {"n": 8, **settings} for name, settings in LIVE.items()}, logprobs=LogprobNeed(),
    )  # fmt: skip
    for name in LIVE:
        print(shown(name, "arithmetic, SmolLM2-135M", "tokens", found.row(name)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("OUTTHINK_SHARED_DATA"))
    parser.add_argument("--replicates", type=int, default=8)
    parser.add_argument("--live", type=int, default=0, metavar="PROBLEMS")
    given = parser.parse_args()
    if given.data is None:
        print("nothing is compared: no recorded pools are here (--data FOLDER, or the variable OUTTHINK_SHARED_DATA)")
        return
    pools = Pools(given.data)

    print(f"{'source':<38} {'figure':<32} {'theirs':>7} {'ours':>7}")
    for source, figure, theirs, ours in targets(pools):
        same = "" if math.isnan(theirs) else "same" if abs(theirs - ours) < 0.001 else "DIFFERS"
        print(f"{source:<38} {figure:<32} {theirs:7.3f} {ours:7.3f}  {same}")

    if importlib.util.find_spec("scorio"):
        print("\nscorio's choice and ours, on tables without ties")
        for name, same, sure, tied in agreement(pools):
            print(f"  {name:<26} {same} of {sure} alike ({tied} with ties left out)")
    else:
        print("\nscorio is not installed: pip install scorio")
    for n in (16, 64):
        same, total = rpc_agreement(pools, n)
        print(f"  {'RPC by SciPy':<26} {same} of {total} alike at {n} samples")

    print(
        "\nnotes: CodeT's scores come from all 100 samples of a problem, so a choice among few knows more than these tell; what"
    )
    print(
        "a verifier cost was not recorded; Qwen3's samples 4 and 5 of each problem are half as long and mostly wrong; of so many"
    )
    print("intervals one in twenty misses by chance; where RPC's fits differ, the likelihood has several optima")
    print(f"\nagainst majority on the same draws, {given.replicates} replicates; 95% intervals; gap at equal spending, paired")
    print(f"{'strategy':<52} {'pool':<44} {'n':>5} {'spent':>12} {'of':<10} {'accuracy':<22} {'maj.':<6} gap")
    for trial in RECORDED:
        for name, model in trial.pools:
            pool, unit = pool_of(pools, name, model)
            for row in against_majority(trial, pool, given.replicates):
                print(shown(trial.label, f"{name.partition('_')[0]} {model or pool.one_model()}"[:44], unit, row), flush=True)
    if given.live:
        live(given.live)


if __name__ == "__main__":
    main()
