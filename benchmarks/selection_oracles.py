"""What `fidelity_selection.py` holds our selectors against: published figures that follow from recorded samples, scorio (pip
install scorio), and an RPC written with SciPy. Nothing is printed here.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from outthink.core.key import Key
from outthink.core.problem import Problem
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.task import Answer
from outthink.evaluation.curves import at_k, best_score_at_k, coverage_at_k, mean_at_k, plurality_at_k
from outthink.evaluation.pool import Pool
from outthink.evaluation.schema import RECORDED_POOLS
from outthink.parts import gating, pruning, weights
from outthink.parts.voting import Best, growing
from outthink.tasks.math import MathTask

Chosen = Callable[[list[Answer], list[float]], Selection]
CHARACTERS = {"completion_tokens": "n_chars"}


class Pools:
    """The recorded pools by name, read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "pools"

    def read(self, name: str, model: str = "", keep: pl.Expr | None = None, columns: Mapping[str, str] | None = None) -> Pool:
        """A pool, or its rows of one model, or those that `keep` says."""
        found = Pool.read(self._folder / f"{name}.parquet", columns={**RECORDED_POOLS, **(columns or {})})
        if name == "math500_40_qwen1p5b_prm_24":
            found = Pool(_extracted(found.frame), found.metadata, found.name)
        # A pool whose grades come from tests has no gold answers: the grades are what counts.
        found = Pool(found.frame.with_columns(pl.col("gold").fill_null("(graded)")), found.metadata, found.name)
        if keep is not None:
            found = Pool(found.frame.filter(keep), found.metadata, found.name)
        return found.of(model) if model else found


def _extracted(frame: pl.DataFrame) -> pl.DataFrame:
    """With the answers that our math task finds in the texts, where a pool holds none."""
    groups = [rows for _, rows in frame.group_by("problem_id", maintain_order=True)]

    async def extracted() -> list[Answer]:
        task = MathTask()
        return [answer for rows in groups for answer in await task.answers(Problem("?"), rows["text"].to_list(), [])]

    found = [each if each.valid else Answer(None) for each in asyncio.run(extracted())]
    ordered = pl.concat(groups)
    named = {"answer": [each.text for each in found], "answer_class": [each.answer_class for each in found]}
    return ordered.with_columns(**{name: pl.Series(values, dtype=pl.String) for name, values in named.items()})


# Published figures

AIME = "aime_reasoners_8x8"


def _part(name: str) -> pl.Expr:
    return pl.col("problem_id").str.starts_with(f"{name}/")


def targets(pools: Pools) -> Iterator[tuple[str, str, float, float]]:
    """(source, figure, theirs, ours)."""
    for model, part, *theirs in (
        ("R1", "aime2024", 0.750, 0.850, 0.900),
        ("Qwen3", "aime2024", 0.708, 0.900, 0.900),
        ("QwQ", "aime2025-ii", 0.692, 0.867, 0.933),
        ("R1DistilQwen", "aime2025-i", 0.525, 0.600, 0.667),
    ):
        pool = pools.read(AIME, model, _part(part))
        for (figure, rule), their in zip(
            {"pass@1": mean_at_k, "maj@8": plurality_at_k, "pass@8": coverage_at_k}.items(), theirs, strict=True
        ):
            yield "art_of_tts replay", f"{model} {part} {figure}", their, float(at_k(pool, rule, 8).mean())
    code = pools.read("humaneval_codegen16b_100x100tests")
    yield "CodeT, arXiv:2207.10397", "pass@10", 0.503, float(at_k(code, coverage_at_k, 10).mean())
    yield "CodeT, arXiv:2207.10397", "pass@100", 0.737, float(at_k(code, coverage_at_k, 100).mean())
    yield "CodeT, arXiv:2207.10397", "dual-execution pick", 0.367, float(at_k(code, best_score_at_k, 100).mean())
    for kind, one, hundred in (("io", 0.073, 0.33), ("cot", 0.040, 0.49)):
        pool = pools.read("game24_gpt4_100x100", f"gpt-4(2023)-{kind}")
        yield "Tree of Thoughts, arXiv:2305.10601", f"{kind} mean", one, float(at_k(pool, mean_at_k, 1).mean())
        yield "Tree of Thoughts, arXiv:2305.10601", f"{kind} best of 100", hundred, float(at_k(pool, coverage_at_k, 100).mean())
    letters = pools.read("lastletters_gpt35_T07")
    yield "ESC, arXiv:2401.10480", "pass@1", 0.787, float(at_k(letters, mean_at_k, 1).mean())
    yield "ESC, arXiv:2401.10480", "maj@40", 0.816, float(at_k(letters, plurality_at_k, 40).mean())
    yield "ESC, arXiv:2401.10480", "coverage@40", 0.920, float(at_k(letters, coverage_at_k, 40).mean())
    reward = pools.read("math100_qwen_rm_8")
    yield "Qwen2.5-Math RM", "maj@8", 0.925, float(at_k(reward, plurality_at_k, 8).mean())
    yield "Qwen2.5-Math RM", "reward best of 8", 0.940, float(at_k(reward, best_score_at_k, 8).mean())
    prm = pools.read("math500_40_qwen1p5b_prm_24")
    yield "crucible fixture", "best of 24 by PRM", 0.625, float(at_k(prm, best_score_at_k, 24).mean())
    # One published rule, one pool: how often the wrong answer of a problem is longer than its right one.
    lengths = pools.read(AIME, "R1")
    yield "Think Deep, Think Fast (card)", "R1 AIME: P(right shorter)", math.nan, _shorter(lengths)


def _shorter(pool: Pool) -> float:
    """Within a problem, the chance that a right sample is shorter than a wrong one; .5 is no signal."""
    found = []
    for problem in pool.problems:
        rows = pool.rows(problem.id)
        right, wrong = (rows.filter(pl.col("correct") == each)["completion_tokens"].to_numpy() for each in (True, False))
        if len(right) and len(wrong):
            gap = wrong[None, :].astype(float) - right[:, None]
            found.append(float(((gap > 0) + 0.5 * (gap == 0)).mean()))
    return float(np.mean(found))


# Other implementations


def _table(pool: Pool, problem: str, n: int) -> tuple[list[Answer], list[float]]:
    rows = pool.rows(problem).drop_nulls(["answer_class", "score"])[:n]
    return [Answer(a, c) for a, c in rows.select("answer", "answer_class").iter_rows()], rows["score"].to_list()


def _chosen(answers: list[Answer], scores: list[float], **how: Any) -> Selection:
    samples = [Sample(Key("r", (), 0, at), "", Finish.EOS) for at in range(len(answers))]
    *_, found = growing(samples, answers, scores, **how)
    return found


def _gated(answers: list[Answer], scores: list[float], alpha: float, pooled: str) -> Selection:
    votes = _chosen(answers, [1.0] * len(answers)).votes
    kept = gating.frequent(votes, alpha) or list(votes)
    at = [place for place, answer in enumerate(answers) if answer.answer_class in kept]
    samples = [Sample(Key("r", (), 0, place), "", Finish.EOS) for place in at]
    return gating.best(samples, [answers[each] for each in at], [scores[each] for each in at], gating.POOLED[pooled])


def _by(**how: Any) -> Chosen:
    return lambda answers, scores: _chosen(answers, scores, **how)


def oracles() -> dict[str, tuple[Chosen, Callable[[Any, Any], Any]]]:
    """Our selector and scorio's, by name."""
    import scorio.aggregate as theirs

    return {
        "majority": (lambda a, s: _chosen(a, [1.0] * len(a)), lambda a, s: theirs.majority_vote(a)),
        "weighted majority": (_by(), theirs.weighted_majority_vote),
        "best of n": (_by(tally=Best), theirs.best_of_n),
        "Borda p=0.5": (_by(weigh=lambda s: weights.borda(s, 0.5)), lambda a, s: theirs.rank_weighted_vote(a, s, p=0.5)),
        "majority of the bests": (_by(weigh=weights.majority_of_the_bests), theirs.majority_of_the_bests),
        "softmax (CISC)": (_by(weigh=weights.softmax), theirs.softmax_weighted_vote),
        "best part votes": (
            _by(weigh=lambda s: weights.filtered(s, 0.5)), lambda a, s: theirs.filtered_vote(a, s, keep=0.5, weighted=False),
        ),
        "best of majority, best": (
            lambda a, s: _gated(a, s, 0.1, "best"), lambda a, s: theirs.best_of_majority(a, s, alpha=0.1, aggregate="max"),
        ),
        "best of majority, mean": (
            lambda a, s: _gated(a, s, 0.1, "mean"), lambda a, s: theirs.best_of_majority(a, s, alpha=0.1, aggregate="mean"),
        ),
    }  # fmt: skip


def agreement(pools: Pools, n: int = 16) -> Iterator[tuple[str, int, int, int]]:
    """(selector, the same choice, tables without a tie, tied tables) over pools with scores and 300 random tables."""
    scored = (
        "gpqa64_llama70b_genrm_128x32",
        "math100_qwen_rm_8",
        "humaneval_codegen16b_100x100tests",
        "math500_40_qwen1p5b_prm_24",
    )
    tables = []
    for name in scored:
        pool = pools.read(name)
        tables += [_table(pool, problem.id, n) for problem in pool.problems]
    rng = np.random.default_rng(0)
    for _ in range(300):
        drawn = rng.integers(0, 5, size=n)
        tables.append(([Answer(str(each), str(each)) for each in drawn], rng.random(n).tolist()))
    for name, (ours, theirs) in oracles().items():
        same = sure = 0
        usable = [(a, s) for a, s in tables if a and min(s) >= 0]
        for answers, scores in usable:
            found = ours(answers, scores)
            if not found.tie and not (_tied(scores) and name not in ("majority", "weighted majority")):
                sure += 1
                same += theirs([answer.answer_class for answer in answers], scores) == found.answer_class
        yield name, same, sure, len(usable) - sure


def _tied(scores: Sequence[float]) -> bool:
    """Ranks of equal scores are shared here and go by order of arrival there."""
    return len(set(scores)) < len(scores)


def rpc_by_scipy(q: np.ndarray, answers: Sequence[str]) -> str:
    """RPC as its card states it, by SciPy's bounded optimiser."""
    from scipy.optimize import minimize

    def density(k: float, scale: float) -> np.ndarray:
        return (k / scale) * (q / scale) ** (k - 1) * np.exp(-((q / scale) ** k))

    def loss(p: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            return float(-np.log(p[0] * density(p[1], p[2]) + (1 - p[0]) * density(p[3], p[4])).sum())

    bounds = [(0.2, 0.8), *[(0.01, None)] * 4]
    w, k1, l1, k2, l2 = minimize(loss, [0.5, 1.0, 1.0, 1.5, 2.0], bounds=bounds, method="L-BFGS-B").x
    one, two = w * density(k1, l1), (1 - w) * density(k2, l2)
    high_first = l1 * math.gamma(1 + 1 / k1) >= l2 * math.gamma(1 + 1 / k2)
    high, low = (one, two) if high_first else (two, one)
    stays = ~((high < low) & (q < q.mean()))
    totals: dict[str, float] = {}
    for each, answer, stay in zip(q, answers, stays, strict=True):
        totals[answer] = totals.get(answer, 0.0) + float(each) * bool(stay)
    return max(totals, key=lambda name: totals[name])


def rpc_agreement(pools: Pools, n: int) -> tuple[int, int]:
    """Problems on which both choose alike, and all."""
    pool, same, total = pools.read("math500_100_r1llama8b_80_chunkppl"), 0, 0
    for problem in pool.problems:
        rows = pool.rows(problem.id).drop_nulls(["answer_class", "mean_logprob"])[:n]
        q, names = np.exp(rows["mean_logprob"].to_numpy()), rows["answer_class"].to_list()
        stays = pruning.by_mixture(q.tolist())
        ours = _chosen([Answer(each, each) for each in names], [float(each) for each in q], weigh=_staying(stays))
        same += rpc_by_scipy(q, names) == ours.answer_class
        total += 1
    return same, total


def _staying(stays: Sequence[bool]) -> Callable[[Any], list[float | None]]:
    return lambda scores: [q if stay else None for q, stay in zip(scores, stays, strict=False)]
