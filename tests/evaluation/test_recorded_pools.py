"""Real recorded pools give the figures that were worked out from them elsewhere."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from outthink.evaluation.curves import at_k, best_score_at_k, coverage_at_k, mean_at_k, plurality_at_k
from outthink.evaluation.estimators import majority_at_k, pass_at_k
from outthink.evaluation.pool import Pool
from outthink.evaluation.schema import RECORDED_POOLS
from tests.shared_data import shared


def pool(name: str, model: str | None = None) -> Pool:
    found = Pool.read(shared(f"pools/{name}.parquet"), columns=RECORDED_POOLS)
    return found if model is None else found.of(model)


def plurality_with_nothing_as_an_answer(rows: pl.DataFrame, k: int) -> float:
    """The vote where "no answer" is a class of its own that is never right, as some of the figures count."""
    classes = rows.group_by("answer_class").agg(pl.len(), pl.col("correct").mean())
    return majority_at_k(classes["len"].to_list(), classes["correct"].to_list(), k)


@pytest.mark.parametrize(
    ("name", "model", "selector", "k", "expected"),
    [
        ("math500_100_r1llama8b_80_chunkppl", None, mean_at_k, 1, 0.756),
        ("math500_100_r1llama8b_80_chunkppl", None, coverage_at_k, 8, 0.935),
        ("math500_100_r1llama8b_80_chunkppl", None, coverage_at_k, 32, 0.969),
        ("math500_100_r1llama8b_80_chunkppl", None, coverage_at_k, 80, 0.990),
        ("math500_100_r1llama8b_80_chunkppl", None, plurality_at_k, 80, 0.870),
        ("lastletters_gpt35_T07", None, mean_at_k, 1, 0.787),
        ("lastletters_gpt35_T07", None, plurality_at_k, 40, 0.816),
        ("lastletters_gpt35_T07", None, coverage_at_k, 40, 0.920),
        ("math100_qwen_rm_8", None, mean_at_k, 1, 0.910),
        ("math100_qwen_rm_8", None, plurality_at_k, 8, 0.925),
        ("math100_qwen_rm_8", None, best_score_at_k, 8, 0.940),
        ("math100_qwen_rm_8", None, coverage_at_k, 8, 0.960),
        ("humaneval_codegen16b_100x100tests", None, coverage_at_k, 10, 0.5037),
        ("humaneval_codegen16b_100x100tests", None, coverage_at_k, 100, 0.7378),
        ("game24_gpt4_100x100", "gpt-4(2023)-io", mean_at_k, 1, 0.0734),
        ("game24_gpt4_100x100", "gpt-4(2023)-io", coverage_at_k, 100, 0.33),
        ("game24_gpt4_100x100", "gpt-4(2023)-cot", coverage_at_k, 100, 0.49),
        ("aime_reasoners_8x8", "R1", plurality_with_nothing_as_an_answer, 8, 0.810),
        ("aime_reasoners_8x8", "QwQ", plurality_with_nothing_as_an_answer, 8, 0.800),
        ("aime_reasoners_8x8", "GPT-OSS-120B", plurality_with_nothing_as_an_answer, 8, 0.750),
        ("aime_reasoners_8x8", "Qwen3", plurality_with_nothing_as_an_answer, 8, 0.817),
        ("aime_reasoners_8x8", "Qwen3", coverage_at_k, 8, 0.883),
        ("gpqa64_llama70b_genrm_128x32", None, plurality_with_nothing_as_an_answer, 128, 0.46875),
        ("gpqa64_llama70b_genrm_128x32", None, coverage_at_k, 1, 0.43738),
        ("gpqa64_llama70b_genrm_128x32", None, coverage_at_k, 16, 0.76414),
        ("gpqa64_llama70b_genrm_128x32", None, coverage_at_k, 128, 0.8750),
    ],
)
def test_stated_figures(name: str, model: str | None, selector: object, k: int, expected: float) -> None:
    assert callable(selector)
    digits = len(str(expected).partition(".")[2])
    assert float(at_k(pool(name, model), selector, k).mean()) == pytest.approx(expected, abs=0.5001 * 10**-digits)


def test_an_invalid_answer_does_not_vote() -> None:
    """The rule of ours against the one above: silence can't win, so a plurality is right more often."""
    recorded = pool("aime_reasoners_8x8", "GPT-OSS-120B")
    ours, other = (at_k(recorded, rule, 8).mean() for rule in (plurality_at_k, plurality_with_nothing_as_an_answer))
    assert ours > other


def test_the_exact_majority_agrees_with_random_subsets() -> None:
    recorded = pool("gpqa64_llama70b_genrm_128x32")
    rng = np.random.default_rng(0)
    for problem in recorded.problems[:6]:
        rows = recorded.rows(problem.id)
        answers, right = rows["answer_class"].to_list(), dict(rows.select("answer_class", "correct").iter_rows())
        credit = []
        for _ in range(3000):
            votes = [answers[i] for i in rng.permutation(len(answers))[:16] if answers[i] is not None]
            tied = {a for a in votes if votes.count(a) == max(map(votes.count, set(votes)))}
            credit.append(sum(right[a] for a in tied) / len(tied) if tied else 0.0)
        assert plurality_at_k(rows, 16) == pytest.approx(float(np.mean(credit)), abs=4 * 0.5 / 3000**0.5)


def test_large_language_monkeys_coverage() -> None:
    counts = pl.read_parquet(shared("pools/counts_matrices.parquet")).filter(
        (pl.col("source") == "large-language-monkeys") & pl.col("model").str.contains("(?i)12b")
    )
    n, c = counts["n"].to_numpy(), counts["c"].to_numpy()
    found = [float(pass_at_k(n, c, k).mean()) for k in (10, 100, 1000, 10_000)]
    assert found == pytest.approx([0.15682, 0.48343, 0.72325, 0.87500], abs=6e-6)
