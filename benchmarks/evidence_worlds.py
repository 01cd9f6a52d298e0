"""Where `evidence.py` takes its samples from: recorded pools, pools of the tiny reasoner, that model itself, toy worlds."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from selection_oracles import AIME, CHARACTERS, Pools

from outthink import tasks
from outthink.core.problem import Problem
from outthink.evaluation.combine import merged
from outthink.evaluation.pool import Pool
from outthink.evaluation.recorded import RecordedScores, RecordedTask
from outthink.record import record
from outthink.tasks import arithmetic, calc, countdown
from outthink.testing.simulated import Pace, SimulatedBackend
from outthink.testing.worlds import Odds, World

PROBLEMS = 60
"""Most problems of a source."""
EXAMPLES = Path(__file__).parents[1] / "examples" / "pools"
PROVENANCE = {"provenance": "benchmarks/evidence.py", "licence": "Apache-2.0"}
SAMPLES = {0.0: 1, 0.4: 8, 0.8: 32, 1.2: 8}
"""How many are recorded at each temperature; most strategies ask at 0.8, and what is read on its way is kept there."""


@dataclass(frozen=True)
class Source:
    """Problems, and who answers them.

    most:     samples of each problem that there are
    unit:     what spending is counted in
    opened:   the model, its task and a verifier, for one evaluation
    """

    problems: Sequence[Problem]
    most: int
    opened: Callable[[], Mapping[str, Any]]
    unit: str = "tokens"
    settings: Mapping[str, Any] = field(default_factory=dict)


def replayed(pool: Pool, task: Any = None, unit: str = "") -> Source:
    """The samples of one pool."""
    counted = pool.frame["completion_tokens"].null_count() == 0

    def opened() -> Mapping[str, Any]:
        return {"model": pool.backend(sleep=True), "task": RecordedTask(pool, task), "verifier": RecordedScores()}

    # Most samples at one temperature: those that most strategies ask for.
    fewest = pool.frame.group_by("problem_id", "temperature").len().group_by("problem_id").agg(pl.col("len").max())["len"].min()
    assert isinstance(fewest, int), "a pool holds samples"
    return Source(
        pool.problems[:PROBLEMS], fewest, opened, unit or ("tokens" if counted else "samples"), {"sampling": _unlimited(pool)}
    )


def _unlimited(pool: Pool) -> dict[str, Any]:
    """No limit where none was recorded; the temperature that most strategies ask for where several were."""
    several = pool.frame["temperature"].n_unique() > 1
    limit = {} if pool.frame["sampling"].count() else {"max_tokens": 10_000_000}
    return {**limit, **({"temperature": 0.8} if several else {})}


def recorded(folder: Path) -> dict[str, Source]:
    """The pools of the data folder."""
    pools = Pools(folder)
    scored = pl.col("score").is_not_null()
    found = {
        "MATH-500 R1-Llama-8B": (pools.read("math500_100_r1llama8b_80_chunkppl", columns=CHARACTERS), "characters"),
        "last letters GPT-3.5": (pools.read("lastletters_gpt35_T07", columns=CHARACTERS), "characters"),
        "GPQA Llama-3.3-70B": (pools.read("gpqa64_llama70b_genrm_128x32", keep=scored), ""),
        "HumanEval CodeGen-16B": (pools.read("humaneval_codegen16b_100x100tests"), ""),
        "MATH-500 Qwen2.5-1.5B": (pools.read("math500_40_qwen1p5b_prm_24"), ""),
        "MATH-100 Qwen2.5-Math": (pools.read("math100_qwen_rm_8"), ""),
        **{f"AIME {model}": (pools.read(AIME, model), "") for model in ("R1", "QwQ", "Qwen3")},
        **{f"game of 24 GPT-4 {how}": (pools.read("game24_gpt4_100x100", f"gpt-4(2023)-{how}"), "") for how in ("io", "cot")},
    }
    return {name: replayed(pool, unit=unit) for name, (pool, unit) in found.items()}


MADE = {
    "calc tiny": ("tiny", "calc", calc.problems(60, 11, operations=8), 32),
    "countdown tiny": ("tiny", "countdown", countdown.problems(60, 11), 32),
    "arithmetic, 4 temperatures": ("embedded", "arithmetic", arithmetic.problems(32, 11), 8),
}
"""Pools that are recorded here: model, task, problems, most samples at one temperature."""


def own(folder: Path, names: Sequence[str] = tuple(MADE)) -> dict[str, Source]:
    """The project's own pool, and pools that are made in `folder` where they are missing (minutes each)."""
    found = {"arithmetic SmolLM2-135M": replayed(Pool.read(EXAMPLES / "arithmetic.parquet"), tasks.load("arithmetic"))}
    for name in names:
        model, task, problems, most = MADE[name]
        parts = []
        for temperature, samples in SAMPLES.items():
            path = folder / f"{name.replace(',', '').replace(' ', '-')}-{temperature}.parquet"
            if not path.exists():
                how: dict[str, Any] = {"every": 16, "arrays": True} if model == "tiny" and temperature == 0.8 else {}
                record(
                    problems, path, samples=min(samples, most), model=model, task=task, logprobs=20, seed=11,
                    sampling={"temperature": temperature}, **how, **PROVENANCE,
                )  # fmt: skip
            parts.append(Pool.read(path))
        found[name] = replayed(merged(parts, name), tasks.load(task))
    return found


def live() -> dict[str, Source]:
    """The tiny reasoner itself: what it continues was never recorded."""
    asked = {"calc": calc.problems(40, 12, operations=8), "countdown": countdown.problems(40, 12)}
    return {
        f"live: {task} tiny": Source(problems, 64, lambda task=task: {"model": "tiny", "task": task})  # type: ignore[misc]  # a default binds the name
        for task, problems in asked.items()
    }


def simulated(problems: int = 60) -> dict[str, Source]:
    """Toy models: often right; torn between two answers; sure of a wrong one on every other problem. Their judge errs."""
    chance = random.Random(5)
    leads = {"sure": (0.35, 0.75), "torn": (0.15, 0.55), "misled": (0.0, 0.5)}
    found = {}
    for name, (low, high) in leads.items():
        odds = {}
        for at in range(problems):
            right = chance.uniform(low, high)
            wrong = (1 - right) * (0.8 if name == "misled" and at % 2 else 0.4)
            odds[f"p{at}"] = Odds("gold", {"gold": right, "lead": wrong, "tin": (1 - right - wrong) / 2})
        world = World(odds, sensitivity=0.8, specificity=0.7, words=(20, 60))

        def opened(world: World = world) -> Mapping[str, Any]:
            return {"model": SimulatedBackend(world, pace=Pace(0, 0)), "task": world.task, "verifier": "mean-logprob"}

        found[f"simulated: {name}"] = Source(world.problems, 64, opened)
    return found
