"""Pools of what continues a prefix: trees are recorded from any run and replayed by any strategy, skipped thoughts too."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outthink.api import evaluate_async
from outthink.backends.played import RecordedSample
from outthink.backends.pool import PoolBackend
from outthink.cli.failures import Exit
from outthink.cli.solve import code_of
from outthink.core.backend import Identity, Request
from outthink.core.budget import Budget
from outthink.core.errors import PoolMiss
from outthink.core.logprobs import LogprobNeed
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from outthink.core.selection import Result, Stop
from outthink.evaluation.export import export
from outthink.evaluation.pool import Pool
from outthink.evaluation.problem_samples import problem_samples
from outthink.evaluation.recorded import RecordedScores, RecordedTask
from outthink.testing.simulated import Pace, SimulatedBackend
from outthink.testing.trees import Node, TreeVerifier, TreeWorld
from outthink.testing.worlds import Odds, World

TREE = Node(below={
    "left": Node(0.6, 0.3, {"no": Node(0.7, 0.2), "yes": Node(0.3, 0.9)}),
    "right": Node(0.4, 0.8, {"yes": Node(0.8, 0.9), "no": Node(0.2, 0.1)}),
})  # fmt: skip
FOREST = TreeWorld.grown({"a": ("yes", TREE), "b": ("no", TREE)})
PLAIN = World(dict.fromkeys("abc", Odds("yes", {"yes": 0.5, "no": 0.3})))


async def ran(world: World, strategy: str, model: Any, task: Any, **more: Any) -> dict[str, Result]:
    results: dict[str, Result] = {}

    def told(_: int, __: int, result: Result) -> None:
        results[result.problem_id] = result

    how = {"budgets": [Budget(samples=200)], **more}
    await evaluate_async(world.problems, model=model, task=task, strategies=[strategy], progress=told, **how)
    return results


async def recorded(path: Path, world: World, strategy: str, **more: Any) -> tuple[Pool, dict[str, Result]]:
    backend = SimulatedBackend(world, pace=Pace(0, 0))
    live = await ran(world, strategy, backend, world.task, journal=path / "run.db", **more)
    await export(path / "run.db", path / "pool.parquet", world.task, world.problems, {"licence": "CC0"})
    return Pool.read(path / "pool.parquet"), live


def texts(result: Result) -> Counter[str]:
    return Counter(sample.whole for sample in result.samples)


async def test_a_recorded_tree_answers_the_search_that_made_it_and_others(tmp_path: Path) -> None:
    settings = {"parameters": {"beam_search": {"width": 16, "branching": 4}}, "verifier": TreeVerifier(FOREST)}
    pool, live = await recorded(tmp_path, FOREST, "beam_search", **settings)
    assert pool.frame["score"].null_count() == 0, "equal texts are scored once, and all of them have the score"
    replay = {**settings, "verifier": RecordedScores()}
    again = await ran(FOREST, "beam_search", pool.backend(seed=1), RecordedTask(pool, FOREST.task), **replay)
    for name, result in live.items():
        assert texts(again[name]) == texts(result), "everything that was recorded is drawn"
        assert again[name].usage.completion_tokens == result.usage.completion_tokens
    small = {**replay, "parameters": {"beam_search": {"width": 4, "branching": 2}}}
    other = await ran(FOREST, "beam_search", pool.backend(seed=2), RecordedTask(pool, FOREST.task), **small)
    assert all(texts(result) <= texts(live[name]) and result.answer for name, result in other.items())
    wide = {**replay, "parameters": {"beam_search": {"width": 32, "branching": 4}}}
    with pytest.raises(PoolMiss, match="holds 16 samples"):
        await ran(FOREST, "beam_search", pool.backend(), RecordedTask(pool, FOREST.task), **wide)


async def test_a_pool_of_steps_and_of_whole_answers_serves_both(tmp_path: Path) -> None:
    backend, journal = SimulatedBackend(FOREST, pace=Pace(0, 0)), tmp_path / "run.db"
    how: dict[str, Any] = {
        "strategies": ["majority", "beam_search"], "parameters": {"beam_search": {"width": 8, "branching": 4}},
        "verifier": TreeVerifier(FOREST), "task": FOREST.task, "budgets": [Budget(samples=24)],
        "sampling": {"stop": ("###",)},
    }  # fmt: skip
    live = await evaluate_async(FOREST.problems, model=backend, journal=journal, **how)
    await export(journal, tmp_path / "pool.parquet", FOREST.task, FOREST.problems, {"licence": "CC0"})
    pool = Pool.read(tmp_path / "pool.parquet")
    drawn: dict[str, Counter[str]] = {}

    def told(_: int, __: int, result: Result) -> None:
        drawn[f"{result.strategy} {result.problem_id}"] = texts(result)

    del how["sampling"]
    how |= {"task": RecordedTask(pool, FOREST.task), "verifier": RecordedScores(), "progress": told}
    again = await evaluate_async(FOREST.problems, model=pool.backend(seed=3), **how)
    assert [row.accuracy for row in again.rows] == [row.accuracy for row in live.rows], "each draws all of its own kind"
    assert {name: count.total() for name, count in drawn.items()} == {
        "majority a": 24, "majority b": 24, "beam_search a": 16, "beam_search b": 16
    }  # fmt: skip


async def test_a_miss_is_the_failure_of_its_own_run(tmp_path: Path) -> None:
    settings = {"parameters": {"beam_search": {"width": 16, "branching": 4}}, "verifier": TreeVerifier(FOREST)}
    pool, _ = await recorded(tmp_path, FOREST, "beam_search", **settings)
    less = Pool(pool.frame.filter((pl.col("problem_id") != "b") | pl.col("prefix").is_null()), pool.metadata, "less")
    found: dict[str, Result] = {}

    def told(_: int, __: int, result: Result) -> None:
        found[result.problem_id] = result

    evaluation = await evaluate_async(
        FOREST.problems,
        model=less.backend(),
        strategies=["beam_search"],
        task=RecordedTask(less, FOREST.task),
        progress=told,
        **{**settings, "verifier": RecordedScores(), "budgets": [Budget(samples=32)]},
    )
    assert (found["a"].stop, found["a"].missed, found["a"].reason) == (Stop.FINISHED, False, "")
    assert (found["b"].stop, found["b"].missed, found["b"].answer) == (Stop.FAILED, True, None)
    assert "no continuation of the prefix" in found["b"].reason
    assert [code_of(found[name]) for name in "ab"] == [Exit.OK, Exit.UNANSWERED]
    (row,) = evaluation.rows
    assert (row.problems, row.unanswered, row.accuracy) == (2, 0.5, 0.5)
    assert any(note.startswith("1 of 2 runs asked for what was never recorded") for note in evaluation.remarks)


async def test_steps_are_no_samples_to_estimate_from(tmp_path: Path) -> None:
    pool, _ = await recorded(tmp_path, FOREST, "beam_search", verifier=TreeVerifier(FOREST))
    with pytest.raises(PoolMiss, match="recorded with stop"):
        await ran(FOREST, "majority", pool.backend(), RecordedTask(pool, FOREST.task), budgets=[Budget(samples=2)])
    with pytest.raises(ValueError, match="continue different beginnings"):
        problem_samples(pool)


@pytest.mark.parametrize(
    ("strategy", "settings"),
    [
        ("nothinking", {}),
        ("multi_temperature", {"temperatures": (0.0, 0.5, 1.0), "intra": 1.0}),
        ("hedged", {}),
        ("deepconf", {"window": 4}),
    ],
)
async def test_what_a_strategy_asked_for_itself_is_recorded_and_replayed(
    tmp_path: Path, strategy: str, settings: dict[str, Any]
) -> None:
    more = {"parameters": {strategy: settings}, "budgets": [Budget(samples=12)]}
    pool, live = await recorded(tmp_path, PLAIN, strategy, **more)
    assert pool.frame.height == sum(len(result.samples) for result in live.values())
    again = await ran(PLAIN, strategy, pool.backend(seed=3), RecordedTask(pool, PLAIN.task), **more)
    for name, result in live.items():
        assert texts(again[name]) == texts(result)
        assert {each.text: dict(each.summary) for each in again[name].samples} == {
            each.text: dict(each.summary) for each in result.samples
        }


async def test_windows_of_another_size_are_a_miss(tmp_path: Path) -> None:
    settings = {"parameters": {"deepconf": {"window": 4}}, "budgets": [Budget(samples=6)]}
    pool, _ = await recorded(tmp_path, PLAIN, "deepconf", **settings)
    other = {**settings, "parameters": {"deepconf": {"window": 3}}}
    with pytest.raises(PoolMiss, match="not the arrays"):
        await ran(PLAIN, "deepconf", pool.backend(), RecordedTask(pool, PLAIN.task), **other)
    whole = {**settings, "parameters": {"deepconf": {"window": 1000}}}
    again = await ran(PLAIN, "deepconf", pool.backend(), RecordedTask(pool, PLAIN.task), **whole)
    sample = again["a"].samples[0]
    assert sample.summary["bottom_confidence"] == sample.summary["token_confidence"], "shorter than the window: one group"


PROMPT = Prompt.chat("2+2?")
ASKED = st.tuples(st.sampled_from(["", "so ", "then "]), st.sampled_from([0.0, 0.7, 1.0]))


@settings(max_examples=60, deadline=None)
@given(held=st.lists(ASKED, max_size=30), asked=st.lists(ASKED, max_size=20), seed=st.integers(0, 5))
async def test_draws_are_of_what_was_asked_without_replacement_or_a_miss(
    held: list[tuple[str, float]], asked: list[tuple[str, float]], seed: int
) -> None:
    samples = [
        RecordedSample(at, f"{at}", Finish.EOS, PROMPT.digest(), {"temperature": temperature}, prefix=prefix)
        for at, (prefix, temperature) in enumerate(held)
    ]
    backend = PoolBackend("test", lambda _: samples, seed=seed, prefixes=True)
    given_out: dict[tuple[str, float], list[int]] = {}
    for ordinal, (prefix, temperature) in enumerate(asked):
        before = given_out.setdefault((prefix, temperature), [])
        who = Identity("p", ordinal, len(before), "run/p/0")
        request = Request(PROMPT.continued(prefix), Sampling(temperature=temperature), [1], identity=who)
        if len(before) == held.count((prefix, temperature)):
            with pytest.raises(PoolMiss):
                await backend.complete(request)
            continue
        before.append(int((await backend.complete(request)).pieces[0].text))
    for asked_for, drawn in given_out.items():
        assert len(set(drawn)) == len(drawn)
        assert all(held[at] == asked_for for at in drawn)


async def test_scores_and_summaries_survive_the_file(tmp_path: Path) -> None:
    pool, live = await recorded(
        tmp_path, FOREST, "beam_search", verifier=TreeVerifier(FOREST), logprobs=LogprobNeed(top=2, keep=True)
    )
    held = {dict(sample.summary)["sum_logprob"]: sample for sample in pool.samples("a")}
    for sample in live["a"].samples:
        found = held[sample.summary["sum_logprob"]]
        assert (found.prefix, found.text, found.summary) == (sample.prefix, sample.text, dict(sample.summary))
        assert (found.logprobs, found.finish) == (sample.logprobs, sample.finish)
    scores = {sample.prefix + sample.text: sample.score for sample in pool.samples("a")}
    assert scores["Then left"] == 0.3
    assert scores["Then right\n\nThe answer is yes."] == 0.9
