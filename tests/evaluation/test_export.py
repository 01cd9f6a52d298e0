"""A journal becomes a pool, and the pool answers as the model did: same answers, same charges, nothing that wasn't recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from outthink.api import evaluate_async
from outthink.core.budget import Budget
from outthink.core.errors import BadInput, PoolMiss
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.selection import Result
from outthink.evaluation.export import export
from outthink.evaluation.pool import Pool
from outthink.evaluation.recorded import RecordedTask
from outthink.report.evaluation import Evaluation
from outthink.runtime.batch import Retry
from outthink.testing.simulated import Faults, Pace, SimulatedBackend
from outthink.testing.worlds import Odds, ToyTask, World

WORLD = World(dict.fromkeys("abc", Odds("yes", {"yes": 0.5, "no": 0.3})))
SAMPLES = 12


async def ran(model: Any, task: Any, **settings: Any) -> tuple[Evaluation, dict[str, Result]]:
    """An evaluation of all problems, and its results by problem."""
    results: dict[str, Result] = {}

    def told(done: int, total: int, result: Result) -> None:
        results[result.problem_id] = result

    settings = {"strategies": ["majority"], "budgets": [Budget(samples=SAMPLES)], "progress": told, **settings}
    return await evaluate_async(WORLD.problems, model=model, task=task, **settings), results


async def recorded(path: Path, backend: SimulatedBackend, **settings: Any) -> tuple[Pool, dict[str, Result]]:
    _, results = await ran(backend, WORLD.task, journal=path / "journal.db", **settings)
    found = await export(path / "journal.db", path / "pool.parquet", WORLD.task, WORLD.problems, {"licence": "CC0"})
    pool = Pool.read(path / "pool.parquet")
    assert found.written == pool.frame.height
    return pool, results


def simulated(**how: Any) -> SimulatedBackend:
    return SimulatedBackend(WORLD, pace=Pace(0, 0), **how)


async def test_a_replay_of_everything_is_the_run_itself(tmp_path: Path) -> None:
    pool, live = await recorded(tmp_path, simulated(), logprobs=LogprobNeed(top=5))
    assert dict(pool.metadata) == {
        "alternatives": "5",
        "licence": "CC0",
        "provenance": "recorded with simulated",
        "task": WORLD.task.name,
    }
    assert pool.problems == tuple(WORLD.problems)
    assert pool.frame["sample_index"].to_list().count(0) == 3
    assert pool.frame["self_certainty"].null_count() == 0
    evaluation, again = await ran(pool.backend(seed=3), RecordedTask(pool, WORLD.task), logprobs=LogprobNeed(top=5))
    for problem, result in live.items():
        votes = again[problem].selection
        assert votes is not None
        assert result.selection is not None
        assert votes.votes == result.selection.votes
        assert sorted(sample.text for sample in again[problem].samples) == sorted(sample.text for sample in result.samples)
        spent, replayed = result.usage, again[problem].usage
        assert (replayed.prompt_tokens, replayed.completion_tokens) == (spent.prompt_tokens, spent.completion_tokens)
        summaries = {sample.text: dict(sample.summary) for sample in result.samples}
        assert {sample.text: dict(sample.summary) for sample in again[problem].samples} == summaries
    assert evaluation.row("majority").unknown_tokens == 0


async def test_only_what_answers_the_task_s_own_prompt_is_exported(tmp_path: Path) -> None:
    limits = {"parameters": {"self_refine": {"iterations": 1}}, "strategies": ["self_refine"], "budgets": [Budget(samples=3)]}
    _, results = await ran(simulated(), WORLD.task, journal=tmp_path / "journal.db", **limits)
    found = await export(tmp_path / "journal.db", tmp_path / "pool.parquet", WORLD.task, WORLD.problems)
    assert found.written == 3
    assert found.left_out == sum(len(result.samples) - 1 for result in results.values())
    assert found.left_out > 0


async def test_failures_are_recorded_and_fail_again(tmp_path: Path) -> None:
    backend = simulated(faults=Faults(broken=frozenset({2})))
    pool, live = await recorded(tmp_path, backend, retry=Retry(attempts=1))
    assert pool.frame["failed"].count() == 3
    _, again = await ran(pool.backend(), RecordedTask(pool, WORLD.task))
    assert {len(result.failed) for result in (*live.values(), *again.values())} == {1}


async def test_samples_that_shared_their_prompt_had_it_cached(tmp_path: Path) -> None:
    pool, live = await recorded(tmp_path, simulated(n=4))
    prompt = pool.frame["prompt_tokens"].unique().to_list()
    assert len(prompt) == 1
    assert pool.frame.filter(pool.frame["cached_tokens"] == 0).height == 3 * SAMPLES / 4
    assert {result.usage.prompt_tokens for result in live.values()} == {3 * prompt[0]}


async def test_a_pool_of_one_prompt_refuses_another(tmp_path: Path) -> None:
    class Polite(ToyTask):
        def prompt(self, problem: Problem) -> Prompt:
            return Prompt.chat(f"Please: {problem.text}")

    pool, _ = await recorded(tmp_path, simulated())
    with pytest.raises(PoolMiss, match="another prompt"):
        await ran(pool.backend(), RecordedTask(pool, Polite()))
    with pytest.raises(PoolMiss, match="asks for number 13"):
        await ran(pool.backend(), RecordedTask(pool, WORLD.task), budgets=[Budget(samples=SAMPLES + 1)])


async def test_a_foreign_journal_is_refused(tmp_path: Path) -> None:
    await recorded(tmp_path, simulated())
    other = World(WORLD.odds)
    object.__setattr__(other.task, "name", "other")
    with pytest.raises(BadInput, match="made with task 'toy', not 'other'"):
        await export(tmp_path / "journal.db", tmp_path / "new.parquet", other.task, WORLD.problems)
    with pytest.raises(BadInput, match="whose problem isn't among those given"):
        await export(tmp_path / "journal.db", tmp_path / "new.parquet", WORLD.task, [Problem("x", id="x")])
    assert not (tmp_path / "new.parquet").exists()
