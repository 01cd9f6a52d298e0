"""Searches under wrong parameters, verifiers that say nothing of use, and models that never end an answer."""

from __future__ import annotations

import itertools
import json
import math
import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from outthink import catalogue
from outthink.core.backend import Completion, Request
from outthink.core.capability import Needs
from outthink.core.errors import BadInput, Permanent, QuorumNotMet, UnknownName
from outthink.core.logprobs import LogprobNeed, Logprobs
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Sample
from outthink.core.selection import Result, Stop
from outthink.core.step import Steps
from outthink.parts.process import Process
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trees import Node, TreeVerifier, TreeWorld
from outthink.testing.worlds import Reply

ROOT = Node(below={name: Node(0.5, 0.5, {"gold": Node(0.5, 0.5), "tin": Node(0.5, 0.4)}) for name in ("a", "b")})
WORLD = TreeWorld.grown({"p": ("gold", ROOT)})
STEPPING = [
    name
    for name in catalogue.strategies()
    if {Needs.STEPS, Needs.SCORES} <= catalogue.strategy(name).needs and not catalogue.strategy(name).asks({})
]


class Endless(TreeWorld):
    """Its model always has a further step, and hardly ever the same twice."""

    def reply(self, prompt: Prompt, chance: random.Random, script: Sequence[str | None] = ()) -> Reply:
        return Reply("".join(f"Then {chance.random()}\n\n" for _ in range(30)), 0.8)


class Says:
    """Scores each sample by a function of how many it has scored before."""

    name, oracle, roles = "says", False, frozenset[str]()
    logprobs: LogprobNeed | None = None

    def __init__(self, says: Callable[[int], Any]) -> None:
        self.says, self.count = says, itertools.count()

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        return [self.says(next(self.count)) for _ in samples]


def run(world: TreeWorld, strategy: str, says: Callable[[int], Any], **how: Any) -> tuple[Result, SimulatedBackend]:
    backend, steps = SimulatedBackend(world), how.pop("steps", None)

    async def main() -> Result:
        async with Session(backend, task=world.task, verifier=Says(says), steps=steps) as session:
            return await session.solve(Problem("Toy problem p: which word?", "p"), strategy, **how)

    return run_virtually(main()), backend


def raising(_: int) -> float:
    raise OSError("gone")


SAYINGS: dict[str, Callable[[int], Any]] = {
    "nothing": lambda at: None,
    "nan": lambda at: math.nan,
    "infinity": lambda at: math.inf,
    "half": lambda at: None if at % 2 else 0.5,
    "below": lambda at: -3.5,
    "above": lambda at: 10.0,
    "huge": lambda at: 1e300,
    "words": lambda at: "good",
    "raises": raising,
}


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("strategy", STEPPING)
def test_no_verifier_breaks_a_search(strategy: str, saying: str) -> None:
    """It answers, or says in words of ours why not: a score that can't be used is told as the verifier's."""
    try:
        result, _ = run(WORLD, strategy, SAYINGS[saying], budget="200 samples")
    except BadInput as error:
        told = str(error)
        assert told.startswith("verifier: a score of"), told
        return
    assert "Error" not in result.reason or result.reason.startswith("verifier says raised"), result.reason
    if saying in ("raises", "words"):
        assert (result.stop, result.answer) == (Stop.FAILED, None)
    elif saying in ("nothing", "nan", "infinity"):
        assert "verifier says gave no score to any of" in result.reason
        assert "valid answer" not in result.reason, "answers there are"
    elif saying == "half":
        assert "gave no score" not in result.reason
        assert result.answer in ("gold", "tin")


def test_answers_that_were_not_scored_are_not_called_invalid() -> None:
    """The step has a score, and the answer after it none."""
    result, _ = run(WORLD, "beam_search", lambda at: 0.5 if at == 0 else None, width=1)
    assert (result.stop, result.answer) == (Stop.FINISHED, None)
    assert "valid answer that was scored: verifier says gave no score to 1 of 2 samples" in result.reason


@pytest.mark.parametrize("strategy", STEPPING)
@pytest.mark.parametrize("score", [0.5, 1.0])
def test_every_search_ends_by_itself(strategy: str, score: float) -> None:
    """No budget, and a model that never ends an answer: an answer has a largest number of steps, a search of expansions."""
    endless = Endless.grown({"p": ("gold", ROOT)})
    result, backend = run(endless, strategy, lambda at: score, steps=Steps(most=5))
    assert result.stop is Stop.FINISHED
    assert backend.calls <= 1000


def path(steps: int) -> Node:
    """One step after another, to the only answer."""
    return Node(1.0, 0.5, {f"s{steps}": path(steps - 1)} if steps else {"gold": Node(1.0, 0.5)})


OPEN = {"a_star": {"expansions": 2}, "best_first": {"expansions": 2}, "mcts": {"simulations": 2}}


@pytest.mark.parametrize("strategy", OPEN)
def test_a_search_that_stops_before_any_answer_finishes_one(strategy: str) -> None:
    """What was paid for is no answer before it is whole: the trace that the search was at simply goes on to its end."""
    deep = TreeWorld.grown({"p": ("gold", path(6))})
    result, backend = run(deep, strategy, lambda at: 0.5, branching=2, **OPEN[strategy])
    assert (result.answer, result.stop, backend.calls) == ("gold", Stop.FINISHED, 2 * 2 + 1)


class Broken(SimulatedBackend):
    """Refuses for good to go on from some beginnings."""

    broken = "Then a\n\n"

    async def complete(self, request: Request) -> Completion:
        if request.prompt.prefix.startswith(self.broken):
            self.calls += 1
            raise Permanent("the prompt is too long", status=400)
        return await super().complete(request)


def broken(strategy: str, prefix: str, **parameters: Any) -> Result:
    """A run in a world of a good and a bad side, where nothing goes on from one of them."""
    sides = {"a": Node(0.5, 0.9, {"tin": Node(1.0, 0.9)}), "b": Node(0.5, 0.3, {"gold": Node(1.0, 0.3)})}
    world = TreeWorld.grown({"p": ("gold", Node(below=sides))})
    backend = Broken(world)
    backend.broken = prefix

    async def main() -> Result:
        async with Session(backend, task=world.task, verifier=TreeVerifier(world)) as session:
            return await session.solve(Problem("Toy problem p: which word?", "p"), strategy, **{"branching": 6, **parameters})

    return run_virtually(main())


@pytest.mark.parametrize("strategy", OPEN)
def test_a_trace_that_cannot_go_on_costs_the_others_nothing(strategy: str) -> None:
    result = broken(strategy, "Then a\n\n")
    assert (result.answer, result.stop, len(result.failed)) == ("gold", Stop.FINISHED, 6)
    assert broken(strategy, "Then a\n\n", branching=10).answer == "gold", "one trace is one, however often it is asked for"
    none = broken(strategy, "Then ")
    assert (none.answer, none.stop) == (None, Stop.FAILED)
    assert "the prompt is too long" in none.reason


@pytest.mark.parametrize(("strategy", "parameters"), [("a_star", {"expansions": 1}), ("mcts", {"simulations": 2})])
def test_what_is_finished_in_the_end_can_go_on(strategy: str, parameters: dict[str, int]) -> None:
    """The best side of those that are left is the one that can't."""
    result = broken(strategy, "Then a\n\n", **parameters)
    assert (result.answer, result.stop, len(result.failed)) == ("gold", Stop.FINISHED, 1)
    none = broken(strategy, "Then ", **parameters)
    assert (none.answer, none.stop, len(none.failed)) == (None, Stop.FAILED, 2)


def test_mcts_finishes_no_trace_that_it_could_not_expand() -> None:
    """The side that it looked at most is the one that can't go on."""
    result = broken("mcts", "Then a\n\n", simulations=3)
    assert (result.answer, len(result.failed)) == ("gold", 6)


def test_a_best_first_search_that_closed_all_says_so() -> None:
    result, backend = run(WORLD, "best_first", lambda at: -0.5)
    assert (result.stop, backend.calls) == (Stop.FAILED, 4)
    assert "none has a score above failed=0.0" in result.reason


class Shaky(Process):
    """No reply about some of the texts ever arrives."""

    def __init__(self, *silent: str) -> None:
        super().__init__("shaky")
        self.silent = silent

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        replies = [text for text in texts if not any(word in text for word in self.silent)]
        if not replies:
            raise QuorumNotMet(1, (), ["too long"] * len(texts))
        return [0.5 if text in replies else None for text in texts]


def test_a_verifier_that_fails_for_one_trace_costs_the_others_nothing() -> None:
    """A text whose only call fails has no score, as one of several has none."""
    backend = SimulatedBackend(WORLD)

    async def main(*silent: str) -> Result:
        async with Session(backend, task=WORLD.task, verifier=Shaky(*silent)) as session:
            return await session.solve(Problem("Toy problem p: which word?", "p"), "a_star", branching=1, expansions=3)

    told = run_virtually(main("answer")).reason
    assert "no score to 1 of 2 samples" in told
    assert "too long" in run_virtually(main("Then")).reason, "one that never said anything ends the run"


WRONG: dict[str, Sequence[Any]] = {
    "width": (0, -1, 2.5, "4", True, None, 10**9),
    "branching": (0, -4, 10**9),
    "simulations": (0,),
    "expansions": (0,),
    "iterations": (0,),
    "lookahead": (-1,),
    "rule": ("best of all", 1),
    "temperature": (0.0, -1.0, math.nan, math.inf, "hot"),
    "temperatures": ([], [1.0, 2.0], ["hot"], [math.nan], 1.0),
    "annealed": ([0.0], [None]),
    "exploration": (-1.0, math.nan),
    "cost": (-1.0, math.nan),
    "coverage": (-1.0, math.inf),
    "distance": (-1.0,),
    "alpha": (-1.0, math.nan),
    "ess": (1.5, math.nan),
    "clip": (0.0, math.nan),
    "root": (math.nan,),
    "every": (0,),
}


@pytest.mark.parametrize("strategy", STEPPING)
def test_wrong_parameters_are_refused_before_anything_is_spent(strategy: str) -> None:
    backend = SimulatedBackend(WORLD)

    async def main() -> None:
        async with Session(backend, task=WORLD.task, verifier=Says(lambda at: 0.5)) as session:
            for name, values in WRONG.items():
                for value in values if name in catalogue.strategy(strategy).parameters else ():
                    with pytest.raises((BadInput, UnknownName)):
                        await session.solve(Problem("Toy problem p: which word?", "p"), strategy, 4, **{name: value})

    run_virtually(main())
    assert backend.calls == 0


def test_lists_of_json_are_parameters() -> None:
    given = json.loads('{"temperatures": [3, 1.5]}')
    assert catalogue.strategy("parallel_tempering").bound(given)["temperatures"] == (3, 1.5)


class Improbable(SimulatedBackend):
    """Gives every token a log-probability that no model gives."""

    said = -math.inf

    def _logprobs(self, *how: Any) -> Logprobs | None:
        found = super()._logprobs(*how)
        return found and replace(found, chosen=array("d", [self.said] * len(found.chosen)))


@pytest.mark.parametrize("said", [-math.inf, -1e308])
def test_impossible_log_probabilities_order_nothing_and_break_nothing(said: float) -> None:
    backend = Improbable(WORLD)
    backend.said = said

    async def main() -> Result:
        async with Session(backend, task=WORLD.task, verifier=Says(lambda at: 0.5)) as session:
            return await session.solve(Problem("Toy problem p: which word?", "p"), "best_first")

    assert run_virtually(main()).answer in ("gold", "tin")


@pytest.mark.parametrize("alpha", [0.0, 1e308])
def test_any_length_normalisation_is_a_number(alpha: float) -> None:
    result, _ = run(WORLD, "best_first", lambda at: 0.5, alpha=alpha)
    assert (result.stop, result.answer in ("gold", "tin")) == (Stop.FINISHED, True)
