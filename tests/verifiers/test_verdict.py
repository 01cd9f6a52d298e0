"""The verdict verifier reads two tokens' probabilities, once per beginning, and says None where it can't read them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

import outthink
from outthink.core.backend import Completion, Request
from outthink.core.errors import BadInput, UnknownName
from outthink.core.selection import Result
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trees import Node, TreeWorld
from outthink.verifiers.verdict import PATIENCE, Verdict

WORLD = TreeWorld.grown(
    {"p": ("gold", Node(below={"a": Node(0.5, 0.8, {"gold": Node(1, 0.9)}), "b": Node(0.5, 0.4, {"tin": Node(1, 0.6)})}))}
)


def run(verifier: Verdict, strategy: str = "beam_search", **parameters: Any) -> tuple[Result, SimulatedBackend]:
    backend, prm = SimulatedBackend(WORLD), SimulatedBackend(WORLD, name="prm")

    async def main() -> Result:
        async with Session(backend, task=WORLD.task, verifier=verifier, roles={"prm": prm}) as session:
            return await session.solve(WORLD.problems[0], strategy, **parameters)

    return run_virtually(main()), prm


def test_it_scores_steps_by_probability() -> None:
    found, prm = run(Verdict(mark="\n\n"), width=8, branching=8)
    assert (found.answer, found.confidence) == ("gold", pytest.approx(0.9))
    assert prm.calls == 3, "two first steps and one second one, each scored once"
    assert prm.served_completion_tokens <= 3, "at most one token each"
    assert found.usage.calls == 16 + 3


def test_whole_answers_are_scored_step_by_step() -> None:
    found, prm = run(Verdict(mark="\n\n", aggregate="product"), "best_of_n", n=8)
    assert (found.answer, found.confidence) == ("gold", pytest.approx(0.72))
    assert prm.calls == 4


def test_neither_word_is_no_score() -> None:
    found, _ = run(Verdict(good="yes", bad="no"), "best_of_n", n=4)
    assert "scored none" in found.reason


def test_a_search_without_any_score_says_what_to_change() -> None:
    found, _ = run(Verdict(good="yes", bad="no"), width=4, branching=4)
    assert found.answer is None
    assert "gave no score to any of" in found.reason
    assert "'yes' and 'no' are not the two words that the role prm says first" in found.reason
    assert "give the words that your model says as good= and bad=" in found.reason


def sure(problems: int, prm: str = "tiny-verifier", **settings: Any) -> list[Result]:
    """Searches with a real process reward model."""
    texts = [f"make {41 + at} from 3 5 8 13" for at in range(problems)]
    given = {"task": "countdown", "verifier": Verdict(**settings), "roles": {"prm": prm}, "strategy": "beam_search"}
    return [outthink.solve(text, model="tiny", parameters={"width": 4}, budget="400 tokens", **given) for text in texts]


@pytest.mark.parametrize("wrong", [{"mark": "X"}, {"mark": " "}, {"bad": "baad"}, {"good": "goood"}, {"good": "+", "bad": "-"}])
def test_words_that_the_model_never_says_there_are_refused_before_much_is_spent(wrong: dict[str, str]) -> None:
    """One of two words, or both after a wrong mark, would give every answer a score that means nothing."""
    with pytest.raises(BadInput, match=r"are not the two words .* see form= and mark=; after '.*' it says '.* \("):
        sure(3, **wrong)


class Certain(SimulatedBackend):
    """A verifier that names one word alone, among what nobody reads, as servers do that give few alternatives."""

    chance = 0.999

    async def complete(self, request: Request) -> Completion:
        found = await super().complete(request)
        said = {"good": math.log(self.chance), "Good": math.log(1 - self.chance)}
        return replace(found, pieces=tuple(replace(each, meta={"first_token": said}) for each in found.pieces))


@pytest.mark.parametrize(("chance", "right"), [(0.999, True), (0.6, False)])
def test_a_model_that_is_sure_need_not_name_the_other_word(chance: float, right: bool) -> None:
    """Answers of which it never has the least doubt refuse no verifier; a word that is said otherwise does."""
    ways = {f"way {at}": Node(1 / 12, 0.9, {"gold": Node(1, 0.9)}) for at in range(12)}
    world, verifier = TreeWorld.grown({"p": ("gold", Node(below=ways))}), Verdict(mark="\n\n", top=2)
    prm = Certain(world, name="prm")
    prm.chance = chance

    async def main() -> Result:
        async with Session(SimulatedBackend(world), task=world.task, verifier=verifier, roles={"prm": prm}) as session:
            return await session.solve(world.problems[0], "best_of_n", n=64)

    if right:
        found = run_virtually(main())
        assert (found.answer, found.confidence) == ("gold", 1.0)
        assert prm.calls >= PATIENCE
    else:
        with pytest.raises(BadInput, match="'Good'"):
            run_virtually(main())


@pytest.mark.parametrize("prm", ["tiny-verifier", "tiny-verifier-rollouts"])
def test_a_model_that_is_asked_in_its_own_form_always_gives_a_verdict(prm: str) -> None:
    assert not [result.reason for result in sure(3, prm) if "verifier" in result.reason]


def test_wrong_settings() -> None:
    with pytest.raises(UnknownName):
        Verdict(form="letter")
    for wrong in ({"good": "x", "bad": "x"}, {"top": 1}, {"good": ""}, {"mark": 5}):
        with pytest.raises(BadInput):
            Verdict(**wrong)
