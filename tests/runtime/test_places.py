"""Places among samples: none is taken twice, whoever asks beside whom; those of one prompt and temperature are counted apart."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from outthink.api import evaluate_async
from outthink.backends.played import RecordedSample
from outthink.backends.pool import PoolBackend
from outthink.core.backend import Completion, Request
from outthink.core.budget import Budget
from outthink.core.key import Key
from outthink.core.operation import Generate
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from outthink.core.selection import Result, Selection
from outthink.core.strategy import strategy
from outthink.runtime.places import Places, Taken
from outthink.session import Session
from outthink.testing.worlds import ToyTask

ASKED = Prompt.chat("2+2?")


def test_places_are_counted_by_role_and_by_prompt_and_temperature() -> None:
    taken = Taken()
    first = Places(Generate(Key("r"), (ASKED,), 3, Sampling(), temperatures=(0.0, None)), taken)
    other = Places(Generate(Key("r", (), 1), (ASKED, ASKED.continued("so"), ASKED), 3, Sampling()), taken)
    judge = Places(Generate(Key("r", (), 2), (ASKED,), 1, Sampling(), role="judge"), taken)
    filling = Places(Generate(Key("r", (), 3), (ASKED,), None, Sampling()), taken)
    assert [first.of(at) for at in range(3)] == [(0, 0), (1, 0), (2, 1)]
    assert [other.of(at) for at in range(3)] == [(3, 2), (4, 0), (5, 3)]
    assert judge.of(0) == (0, 0)
    assert [filling.of(at) for at in range(2)] == [(6, 4), (7, 5)]


@strategy("both")
async def both(run: Run, problem: Problem) -> Selection:
    """Two children at once, each of which fills a budget."""

    async def fill(child: Run) -> list[str]:
        return [sample.text for sample in await child.generate(problem, None)]

    found = await run.all([fill, fill], budget="4 samples")
    return Selection(" ".join(sorted(text for texts in found for text in texts or ())), "all")


async def test_children_that_fill_budgets_at_once_draw_every_recorded_sample_once() -> None:
    held = [RecordedSample(at, f"{at}", Finish.EOS, completion_tokens=1) for at in range(8)]
    answers: list[str | None] = []

    def told(_: int, __: int, result: Result) -> None:
        answers.append(result.answer)

    for _ in range(2):
        await evaluate_async(
            [Problem("2+2?", id="p", gold="4")],
            strategies=[both],
            budgets=["8 samples"],
            model=PoolBackend("test", lambda _: held),
            task=ToyTask(),
            progress=told,
        )
    assert Counter((answers[0] or "").split()) == Counter("01234567")
    assert answers[0] == answers[1]


@strategy("waiting")
async def waiting(run: Run, problem: Problem) -> Selection:
    """Two children at once whose samples wait for each other's refunds, so that their places are mixed."""

    async def fill(child: Run) -> list[str]:
        return [sample.text for sample in await child.generate(problem, None)]

    found = await run.all([fill, fill], budget=Budget(completion_tokens=20))
    return Selection(" ".join(text for texts in found for text in texts or ()), "all")


class Dying(PoolBackend):
    """Answers so many requests, and then no more."""

    def __init__(self, held: list[RecordedSample], left: int) -> None:
        super().__init__("test", lambda _: held)
        self.left, self.dead = left, asyncio.Event()

    async def complete(self, request: Request) -> Completion:
        self.left -= 1
        if self.left < 0:
            self.dead.set()
            await asyncio.Event().wait()
        return await super().complete(request)


@pytest.mark.parametrize("after", [3, 6, 9])
async def test_a_resume_draws_nothing_again_that_was_recorded(tmp_path: Path, after: int) -> None:
    held = [RecordedSample(at, f"{at}", Finish.EOS, completion_tokens=1) for at in range(26)]

    def opened(model: PoolBackend) -> Session:
        return Session(model, task=ToyTask(), journal=tmp_path / "run.db", sampling={"max_tokens": 10})

    dying = Dying(held, after)
    async with opened(dying) as session:
        run = asyncio.create_task(session.solve(Problem("2+2?", "p"), waiting))
        await dying.dead.wait()
        run.cancel()
        await asyncio.wait([run])
    async with opened(PoolBackend("test", lambda _: held)) as session:
        result = await session.solve(Problem("2+2?", "p"), waiting)
    drawn = Counter((result.answer or "").split())
    assert drawn.total() > after
    assert max(drawn.values()) == 1
