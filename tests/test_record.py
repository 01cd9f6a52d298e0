"""Recording as a library: what a pool says of samples that failed or were asked for again, and what leaves no journal behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from outthink.core.errors import BadInput, Unsupported
from outthink.evaluation.pool import Pool
from outthink.record import Recording, record
from outthink.runtime.batch import Retry
from outthink.testing.simulated import Faults, SimulatedBackend
from outthink.testing.worlds import Odds, World

WORLD = World({f"p{at}": Odds("seven", {"seven": 0.6, "eight": 0.4}) for at in range(4)})


def recorded(path: Path, samples: int, world: World = WORLD, faults: Faults | None = None, **more: Any) -> Recording:
    model = SimulatedBackend(world, faults=faults or Faults(), **more.pop("backend", {}))
    stated = {"provenance": "a toy world", "licence": "CC0-1.0"}
    return record(world.problems, path, samples=samples, model=model, task=world.task, **stated, **more)


def test_a_sample_that_was_asked_for_again_took_what_it_took(tmp_path: Path) -> None:
    calm = recorded(tmp_path / "calm.parquet", 8)
    assert (calm.failed, calm.answered, calm.held) == (0, 32, 32)
    retry = Retry(attempts=20, base=1e-4, longest=1e-3)
    assert recorded(tmp_path / "lossy.parquet", 8, faults=Faults(lost=0.4), retry=retry).failed == 0
    one, other = (
        Pool.read(tmp_path / name).frame.select("key", "text", "prompt_tokens", "completion_tokens")
        for name in ("calm.parquet", "lossy.parquet")
    )
    assert one.sort("key").equals(other.sort("key"))


def test_another_sample_is_asked_for_in_place_of_one_that_failed(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    assert recorded(path, 4, faults=Faults(broken=frozenset({1, 2}))).failed == 8
    again = recorded(path, 4)
    assert (again.added, again.failed, again.held) == (8, 0, 24)
    assert recorded(path, 4).added == 0
    frame = Pool.read(path).frame
    assert frame["key"].n_unique() == frame.height == 24


def test_a_pool_holds_answers_to_one_task_s_prompts(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    recorded(path, 1)
    with pytest.raises(BadInput, match="prompts of task 'toy'; record with it, or those of 'exact' into a new pool"):
        record(WORLD.problems, path, samples=2, model=SimulatedBackend(WORLD), task="exact")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["pool.parquet"]


def test_a_refused_recording_leaves_no_journal_that_refuses_the_next(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    with pytest.raises(Unsupported, match="log-probabilities"):
        recorded(path, 2, backend={"logprobs": -1}, logprobs=5)
    assert not [*tmp_path.iterdir()]
    assert recorded(path, 3).added == 12
