"""The bank ranks by shared rare words, gives next steps, and never gives out the problem that is asked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.core.prompt import Prompt
from outthink.core.selection import Result
from outthink.core.step import Steps
from outthink.parts.hinting import hinted
from outthink.retrieval.bank import Bank, Index
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trees import TreeVerifier
from outthink.testing.trials import TREES

SOLVED = [
    ("make 24 from 2 3 4", "2*3=6,4 6\n4*6=24"),
    ("make 30 from 5 6 7", "5*6=30,7 30\n30"),
    ("how many apples has Ann", "three\nfour"),
]


def test_ranking() -> None:
    index = Index([problem for problem, _ in SOLVED])
    assert index.ranked("make something from 7 and 6")[0] == 1
    assert index.ranked("apples") == [2]
    assert index.ranked("zebra") == []


def test_examples_and_next_steps() -> None:
    bank = Bank(SOLVED, Steps("\n"))
    examples = asyncio.run(bank.examples("make 48 from 2 3 8", "make numbers", 5))
    assert [each["problem"] for each in examples] == ["make 24 from 2 3 4", "make 30 from 5 6 7"]
    steps = asyncio.run(bank.next_steps("make 48 from 2 3 8", "2*3=6,4 6\n", 1))
    assert steps == [{"situation": "make 24 from 2 3 4\n2*3=6,4 6\n", "step": "4*6=24"}]


@pytest.mark.parametrize("asked", ["make 24 from 2 3 4", "  make  24 from\n2 3 4 ", "Make 24 from 2 3 4", "make 24 from 2 3 4 !"])
def test_the_problem_itself_is_never_given_out(asked: str) -> None:
    bank = Bank(SOLVED, Steps("\n"))
    assert "make 24 from 2 3 4" not in [each["problem"] for each in asyncio.run(bank.examples(asked, asked, 9))]
    assert not any("2 3 4" in each["situation"] for each in asyncio.run(bank.next_steps(asked, "", 9)))


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5), st.text(), st.text())
def test_any_text_can_be_asked(solved: list[tuple[str, str]], problem: str, text: str) -> None:
    bank = Bank(solved)
    assert len(asyncio.run(bank.examples(problem, text, 3))) <= 3
    assert len(asyncio.run(bank.next_steps(problem, text, 3))) <= 3


def test_bad_banks() -> None:
    for wrong in ({"leak": 0.0}, {"solved": [("a", 1)]}):
        with pytest.raises(BadInput):
            Bank(**{"solved": [], **wrong})  # type: ignore[arg-type]  # wrong on purpose


def test_hints_stand_before_the_problem() -> None:
    example = {"problem": "p", "solution": "s"}
    assert hinted(Prompt.chat("q", prefix="so far"), [example]).prefix == "so far"
    assert [message.author for message in hinted(Prompt.chat("q"), [example]).messages] == ["system", "user"]
    assert [message.author for message in hinted(Prompt.chat("q", system="be brief"), [example]).messages] == ["system", "user"]
    assert (hinted(Prompt.raw("q"), [example]).text or "").endswith("Solution:\ns\n\nq")
    assert hinted(Prompt.raw("q"), []) == Prompt.raw("q")


def run(strategy: str, bank: Bank, **parameters: Any) -> Result:
    async def main() -> Result:
        async with Session(
            SimulatedBackend(TREES), task=TREES.task, verifier=TreeVerifier(TREES), roles={"retriever": bank}
        ) as session:
            return await session.solve(TREES.problems[0], strategy, simulations=6, **parameters)

    return run_virtually(main())


def test_r2_without_retrieval_is_mcts() -> None:
    plain, without = run("mcts", Bank(SOLVED)), run("r2", Bank(SOLVED), examples=0, hints=0)
    assert [sample.whole for sample in without.samples] == [sample.whole for sample in plain.samples]
    empty = run("r2", Bank([]), examples=0, hints=2)
    first = [[sample.usage.prompt_tokens for sample in found.samples if not sample.prefix] for found in (plain, empty)]
    assert first[0] == first[1], "an empty bank gives no hints"


def test_r2_pays_for_its_hints() -> None:
    plain = run("mcts", Bank(SOLVED))
    bank = Bank([("Toy problem easier: which word?", "Then left\n\nThe answer is gold.")])
    found = run("r2", bank)
    assert found.usage.prompt_tokens > 2 * plain.usage.prompt_tokens
    assert all("similar situation" not in sample.whole for sample in found.samples)
