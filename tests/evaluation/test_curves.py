"""Curves of a pool: exact where they can be, an interval for the mean and one for a single run, gains paired by problem."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from outthink.core.errors import BadInput
from outthink.evaluation.curves import at_k, best_score_at_k, coverage_at_k, plurality_at_k
from outthink.evaluation.estimators import majority_at_k
from outthink.evaluation.pool import Pool
from outthink.evaluation.prefixes import ORACLE
from outthink.evaluation.problem_samples import ProblemSamples
from outthink.evaluation.resampling import resample
from outthink.evaluation.write import write_pool
from outthink.report.curves import curves


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    rng = np.random.default_rng(0)
    rows = [
        {
            "problem_id": str(at), "gold": "7", "model": "recorded", "sample_index": index, "answer": answer,
            "answer_class": answer, "correct": answer == "7", "score": float(rng.normal(answer == "7")),
        }
        for at, chance in enumerate(rng.random(24))
        for index in range(12)
        for answer in ["7" if rng.random() < chance else str(rng.integers(3))]
    ]  # fmt: skip
    write_pool(tmp_path / "pool.parquet", rows)
    return Pool.read(tmp_path / "pool.parquet")


def test_curves_are_the_exact_expectations(pool: Pool) -> None:
    found = curves(pool, [1, 4, 12], weights="score", scores="score")
    for name, exact in (("majority", plurality_at_k), ("best_of_n", best_score_at_k), (ORACLE, coverage_at_k)):
        for n in (1, 4, 12):
            assert found.at(name, n).accuracy.value == pytest.approx(at_k(pool, exact, n).mean(), abs=0.01)
    assert [point.gain is None for point in found.points] == [point.selector == "majority" for point in found.points]
    gain = found.at(ORACLE, 4).gain
    assert gain is not None
    assert gain.value == pytest.approx(found.at(ORACLE, 4).accuracy.value - found.at("majority", 4).accuracy.value)


def test_a_single_run_may_show_more_than_the_mean_is_unsure(pool: Pool) -> None:
    point = curves(pool, [1]).at("majority", 1)
    assert point.run.low < point.accuracy.low < point.accuracy.value < point.accuracy.high < point.run.high


def test_they_show_themselves(pool: Pool) -> None:
    found = curves(pool, scores="score")
    assert [point.n for point in found.points[:5]] == [1, 2, 4, 8, 12]
    assert found.to_polars().height == len(found.points)
    assert "best_of_n" in str(found)
    assert "<table>" in found._repr_html_()
    with pytest.raises(BadInput, match="there is no 'best'"):
        found.at("best", 1)


def test_what_a_reader_must_know_is_said(pool: Pool) -> None:
    assert curves(pool, [1]).notes == ()
    hot = pl.when(pl.col("sample_index") > 5).then(1.5).otherwise(0.5)
    mixed = Pool(pool.frame.with_columns(hot.alias("temperature"), pl.col("score") - 5), pool.metadata, pool.name)
    temperature, scaled = curves(mixed, [1], weights="score").notes
    assert "differ in their temperature" in temperature
    assert "score scaled to [0, 1]" in scaled
    assert scaled in str(curves(mixed, [1], weights="score"))


def test_the_interval_of_the_mean_covers_it_and_that_of_a_run_covers_runs() -> None:
    """60 worlds of 40 problems x 16 samples: the mean's interval must hold the truth about 95 times in 100, and a fresh run must
    fall within the other about as often."""
    rng = np.random.default_rng(1)

    def drawn(many: int, samples: int) -> list[ProblemSamples]:
        found = []
        for chance in rng.beta(0.7, 0.7, many):
            classes = np.where(rng.random(samples) < chance, 0, rng.integers(1, 4, samples))
            found.append(ProblemSamples.of(classes, classes == 0))
        return found

    def voted(problems: list[ProblemSamples]) -> float:
        counts = [np.bincount(each.classes, minlength=4).tolist() for each in problems]
        return float(np.mean([majority_at_k(each, [1, 0, 0, 0], 4) for each in counts]))

    truth, held, fell = voted(drawn(5000, 4)), 0, 0
    for seed in range(60):
        found = resample(drawn(40, 16), [4], resamples=200, seed=seed, threads=1)
        mean, run = found.accuracy("majority", 4), found.interval("majority", 4)
        held += mean.low <= truth <= mean.high
        fell += run.low - run.value <= voted(drawn(40, 4)) - truth <= run.high - run.value
    assert held >= 50
    assert fell >= 50
