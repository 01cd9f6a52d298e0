"""A pool of a million samples without texts: how long it takes to load (checks included) and to describe.

python benchmarks/pool_load.py [SAMPLES]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from outthink.evaluation.pool import Pool

EACH = 256


def main(samples: int = 1_000_000) -> None:
    problems = samples // EACH
    n, chance = problems * EACH, np.random.default_rng(0)
    names = np.repeat([f"problem-{at}" for at in range(problems)], EACH)
    frame = pl.DataFrame(
        {
            "problem_id": names,
            "gold": np.repeat([str(at % 97) for at in range(problems)], EACH),
            "model": ["model"] * n,
            "sample_index": np.tile(np.arange(EACH, dtype=np.int32), problems),
            "temperature": [0.7] * n,
            "sampling": ['{"temperature": 0.7}'] * n,
            "answer": chance.integers(0, 50, n).astype(str),
            "correct": chance.random(n) < 0.3,
            "finish": ["eos"] * n,
            "completion_tokens": chance.integers(20, 500, n),
            "mean_logprob": -chance.random(n),
            "self_certainty": 10 * chance.random(n),
            "seconds": chance.random(n),
        }
    ).with_columns(key=pl.col("problem_id") + "/0#" + pl.col("sample_index").cast(str), answer_class=pl.col("answer"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.parquet"
        frame.write_parquet(path)
        loads, describes = [], []
        for _ in range(5):
            begun = time.perf_counter()
            pool = Pool.read(path, texts=False)
            loads.append(time.perf_counter() - begun)
            pool.describe()
            describes.append(time.perf_counter() - begun - loads[-1])
    load, describe = statistics.median(loads), statistics.median(describes)
    print(f"{n} samples: load {load:.2f} s, describe {describe:.2f} s, together {load + describe:.2f} s (median of 5)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
