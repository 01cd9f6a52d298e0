"""The demo on a scripted model: what it leaves behind, and that what is recorded is never asked for again."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from outthink.core.backend import Backend, Completion, Piece, Request
from outthink.core.capability import Capabilities
from outthink.core.errors import BadInput
from outthink.core.logprobs import Logprobs
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.demo import budgets, demo, shown_budgets
from outthink.evaluation.pool import Pool
from outthink.tasks import arithmetic

GOLD = {problem.text: problem.gold for problem in arithmetic.problems(64, 7)}


class Half:
    """Right every other time, and then surer; judges and reviews badly."""

    name = "half"
    prices = None
    capabilities = Capabilities(raw=True, seed=True, logprobs=20, vocabulary=100)

    def __init__(self) -> None:
        self.calls = 0

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def prompt_bound(self, prompt: Prompt) -> int:
        return 100

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        asked = request.prompt.text or " ".join(message.content for message in request.prompt.messages)
        gold = next(gold for text, gold in GOLD.items() if text in asked)
        chance = random.Random(request.seeds[0])
        right = chance.random() < 0.5
        from array import array

        logprob = -0.1 if right else -0.5
        logprobs = Logprobs(array("f", [logprob] * 5), array("f", [logprob, -3.0] * 5), 2, 100)
        text = f" so {gold if right else chance.randint(200, 204)}."
        return Completion((Piece(text, Finish.STOP, 5, logprobs),), 60, 5, seconds=0.01)


def test_everything_is_left_behind_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    model, stages = Half(), []
    assert isinstance(model, Backend)
    sizes = {"problems": 12, "samples": 4, "replicates": 3, "live": 2}

    def told(what: str, done: int, total: int) -> None:
        stages.append(what)
        assert 0 <= done <= total

    made = demo(tmp_path / "out", model=model, progress=told, **sizes)  # type: ignore[arg-type]
    assert len(dict.fromkeys(stages)) == 4
    asked = model.calls
    assert asked >= 12 * 4 + 2 * 8
    pool = Pool.read(made.pool)
    assert (pool.frame.height, pool.metadata["alternatives"]) == (48, "20")
    assert made.plot.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in made.report.read_text(encoding="utf-8")
    rows = {(row.strategy, row.budget): row for row in made.evaluation.rows}
    first = [
        rows[name, "1 sample"] for name in ("single", "majority", "weighted_majority", "self_certainty", "best_of_n", "oracle")
    ]
    assert len({(row.accuracy, row.tokens) for row in first}) == 1, "with one sample there is nothing to choose"
    oracle, surest = rows["oracle", "4 samples"], rows["best_of_n", "4 samples"]
    assert oracle.accuracy == surest.accuracy == pytest.approx(_coverage(pool)), "here the surest sample is right where any is"
    assert oracle.oracle
    assert not surest.oracle
    assert rows["judge", "no limit"].calls == 8
    assert json.loads(made.figures.read_text(encoding="utf-8"))["rows"]

    again = demo(tmp_path / "out", model=model, **sizes)  # type: ignore[arg-type]
    assert model.calls == asked
    assert [row.fields() for row in again.evaluation.rows] == [row.fields() for row in made.evaluation.rows]


def _coverage(pool: Pool) -> float:
    found = [bool(pool.rows(problem.id)["correct"].any()) for problem in pool.problems]
    return sum(found) / len(found)


def test_budgets_of_the_curve_and_of_the_table() -> None:
    assert [budget.samples for budget in budgets(5)] == [1, 2, 3, 4, 5]
    assert shown_budgets(12) == ["1 sample", "2 samples", "4 samples", "8 samples", "12 samples"]


def test_numbers_and_folders_that_can_not_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="samples"):
        demo(tmp_path, samples=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="folder"):
        demo(tmp_path / "file")
