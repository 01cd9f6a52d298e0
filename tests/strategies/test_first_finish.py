"""First finish search on recorded lengths: who wins, what all of it cost, and the paper's two-normal model."""

from __future__ import annotations

import random

import pytest

from outthink.backends.pool import PoolBackend, RecordedSample
from outthink.core.problem import Problem
from outthink.core.sample import Finish
from outthink.core.selection import Result
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.worlds import ToyTask


def run(*samples: tuple[str | None, int], seed: int = 0, **parameters: object) -> Result:
    """One run over samples given by answer (None: cut at its length) and tokens."""
    recorded = [
        RecordedSample(
            at,
            "no end" if answer is None else f"The answer is {answer}.",
            Finish.LENGTH if answer is None else Finish.EOS,
            completion_tokens=tokens,
            prompt_tokens=0,
        )
        for at, (answer, tokens) in enumerate(samples)
    ]
    backend = PoolBackend("lengths", lambda problem: recorded, seed=seed, sleep=True)

    async def main() -> Result:
        async with Session(backend, task=ToyTask(), sampling={"max_tokens": 100_000}) as session:
            return await session.solve(Problem("p", "p"), "first_finish", n=len(samples), **parameters)

    return run_virtually(main())


def test_the_shortest_that_ends_wins_and_all_is_charged() -> None:
    found = run(("a", 900), ("b", 300), (None, 100), ("a", 500))
    assert found.answer == "b"
    assert found.usage.completion_tokens == 100 + 3 * 300
    assert found.usage.samples == 4
    assert run(("a", 900), ("b", 300), ("a", 500), least_tokens=301).answer == "a"


def test_k_finishers_vote() -> None:
    samples = (("b", 300), ("a", 400), ("a", 500), ("c", 600))
    assert [run(*samples, k=k).answer for k in (1, 2, 3, 4)] == ["b", "b", "a", "a"], "a tie goes to who was first"
    assert run(*samples, k=3).usage.completion_tokens == 300 + 400 + 500 + 500
    assert [run(*samples, k=k, last=True).answer for k in (1, 2, 3)] == ["c", "c", "a"]
    assert run((None, 5), (None, 7)).answer is None


@pytest.mark.parametrize(("right", "wrong", "chance"), [(6000, 10000, 0.9243), (10000, 6000, 0.1895)])
def test_two_normals(right: int, wrong: int, chance: float) -> None:
    draws, hits, runs = random.Random(3), 0, 200
    for seed in range(runs):
        kinds = ["gold" if draws.random() < 0.6 else "tin" for _ in range(8)]
        lengths = [max(1, round(draws.gauss(right if kind == "gold" else wrong, 3000))) for kind in kinds]
        found = run(*zip(kinds, lengths, strict=True), seed=seed)
        hits += found.answer == "gold"
        assert found.usage.completion_tokens == 8 * min(lengths)
    assert hits / runs == pytest.approx(chance, abs=4 * (chance * (1 - chance) / runs) ** 0.5)
