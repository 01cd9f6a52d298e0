"""Trying a strategy out in a toy world in virtual time: one call, one finished run, and what the simulated model saw of it.

What must hold for every trial is the `contract`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from outthink import catalogue
from outthink.core.budget import Budget
from outthink.core.capability import Needs
from outthink.core.problem import Problem
from outthink.core.selection import Result
from outthink.core.strategy import Strategy
from outthink.core.verifier import Verifier
from outthink.retrieval.bank import Bank
from outthink.runtime.batch import Retry
from outthink.runtime.clock import run_virtually
from outthink.runtime.journal import Journal
from outthink.session import Session
from outthink.testing.simulated import CALM, Faults, Pace, SimulatedBackend
from outthink.testing.trees import Node, TreeVerifier, TreeWorld
from outthink.testing.worlds import Odds, ToyVerifier, World
from outthink.verifiers.judge import Judge

WORLD = World({"hard": Odds("gold", {"gold": 0.4, "lead": 0.3, "tin": 0.1})}, sensitivity=0.8, specificity=0.7, keeps=0.9)
"""One problem that four samples rarely agree about, with a judge that errs."""

TREES = TreeWorld.grown(
    {
        "steep": (
            "gold",
            Node(
                below={
                    "left": Node(0.5, 0.8, {"gold": Node(0.3, 0.9), "lead": Node(0.6, 0.5)}),
                    "right": Node(
                        0.4, 0.4, {"tin": Node(0.5, 0.3), "far": Node(0.5, 0.6, {"gold": Node(0.5, 0.7), "tin": Node(0.5, 0.2)})}
                    ),
                    "lead": Node(0.1, 0.3),
                }
            ),
        )
    },
    sensitivity=0.8,
    specificity=0.7,
    keeps=0.9,
)
"""One problem whose answers come in one to three steps."""

SCORES = {"gold": 0.9, "lead": 0.6, "tin": 0.2}
"""The toy verifier's opinion of the answers in `WORLD`."""

UNEVEN = Pace(spread=0.9)
"""Replies take so different times that they arrive out of order."""

ROLES = {"retriever": Bank([("Toy problem other: which word?", "Then left\n\nThe answer is gold.")])}
"""What strategies are given to invoke."""

N = 4


@dataclass(frozen=True)
class Case:
    """A strategy with parameters and, where it needs one, a verifier: "toy", "tree" or "judge" (which makes calls of its own)."""

    strategy: Strategy
    parameters: Mapping[str, Any] = field(default_factory=dict)
    verifier: str | None = None

    def __str__(self) -> str:
        settings = [f"{name}={value}" for name, value in self.parameters.items() if name != "n"]
        return "-".join([self.strategy.name, *settings, *([self.verifier] if self.verifier else [])])

    def but(self, **parameters: Any) -> Case:
        """The same case with some parameters changed."""
        return replace(self, parameters={**self.parameters, **parameters})

    @property
    def stepwise(self) -> bool:
        """Whether it builds answers step by step: it is tried in `TREES`, and the others in `WORLD`."""
        return Needs.STEPS in self.strategy.needs

    @property
    def world(self) -> World:
        """Where it is tried unless a test says otherwise."""
        return TREES if self.stepwise else WORLD

    @property
    def judged(self) -> bool:
        """Whether a judge's calls come between the samples and the choice."""
        return self.verifier == "judge" or "judge" in self.strategy.asks(self.parameters)

    @property
    def parallel(self) -> bool:
        """Whether the strategy has a number of samples to choose."""
        return "n" in self.strategy.parameters


def cases(name: str, variants: Sequence[Mapping[str, Any]] = ()) -> list[Case]:
    """The cases of a strategy: its defaults with `N` samples, each variant, and all of them with every kind of verifier."""
    strategy = catalogue.strategy(name)
    fixed = {"n": N} if "n" in strategy.parameters else {}
    scored = ("tree",) if Needs.STEPS in strategy.needs else ("toy", "judge")
    verifiers = scored if Needs.SCORES in strategy.needs else (None,)
    return [Case(strategy, {**fixed, **each}, verifier) for verifier in verifiers for each in ({}, *variants)]


@dataclass(frozen=True)
class Trial:
    """A finished run and the backend that served it; `result` is None where the run was left before it ended."""

    result: Result | None
    backend: SimulatedBackend

    @property
    def done(self) -> Result:
        """The result of a run that ended."""
        assert self.result is not None
        return self.result


def trial(
    case: Case,
    *,
    world: World | None = None,
    problem: Problem | None = None,
    budget: Budget | str | int | None = None,
    journal: Path | None = None,
    leave_after: float | None = None,
    concurrency: int = 64,
    pace: Pace = UNEVEN,
    faults: Faults = CALM,
    script: Sequence[str | None] = (),
    n: int = 1,
    max_tokens: int = 40,
    seed: int = 0,
    verifier: Verifier | None = None,
) -> Trial:
    """Run a case on the (first) problem of a world, in virtual time.

    leave_after: seconds after which the run is cancelled
    script:      answers of the samples instead of chance
    The others as in `Session` and `SimulatedBackend`.
    """
    world = world or case.world
    asked = problem or world.problems[0]
    backend = SimulatedBackend(world, pace=pace, faults=faults, script={asked.id: script}, n=n)
    scorer = verifier
    if scorer is None and case.verifier is not None:
        trees = world if isinstance(world, TreeWorld) else TREES
        scorers: dict[str, Verifier] = {"toy": ToyVerifier(SCORES), "tree": TreeVerifier(trees), "judge": Judge()}
        scorer = scorers[case.verifier]

    async def main() -> Result | None:
        # The same whatever is asked for, so that a trial of another schedule can take over a journal.
        session = Session(
            backend,
            task=world.task,
            verifier=scorer,
            roles={**ROLES, "mrm": backend},
            sampling={"max_tokens": max_tokens},
            concurrency=concurrency,
            journal=journal,
            retry=Retry(attempts=20),  # so many that a third of failing attempts loses no sample
            seed=seed,
        )
        async with session:
            try:
                async with asyncio.timeout(leave_after):
                    return await session.solve(asked, case.strategy, budget, **case.parameters)
            except TimeoutError:
                return None

    return Trial(run_virtually(main()), backend)


def told(result: Result) -> dict[str, Any]:
    """All of a result that doesn't depend on when things happened or on what failed attempts cost."""
    chosen = result.selection
    return {
        "answer": result.answer,
        "class": chosen and chosen.answer_class,
        "confidence": chosen and chosen.confidence,
        "votes": chosen and dict(chosen.votes),
        "tie": chosen and chosen.tie,
        "sample": chosen and chosen.sample and str(chosen.sample.key),
        "stop": str(result.stop),
        "offers": [offer.selection.answer for offer in result.offers],
        "samples": {str(sample.key): sample.whole for sample in result.samples},
        "failed": [str(failure.key) for failure in result.failed],
    }


def paid(result: Result) -> dict[str, Any]:
    """What a result says was spent, but for time."""
    spent = [offer.usage.fields() | {"seconds": 0} for offer in result.offers]
    return {"usage": result.usage.fields() | {"seconds": 0}, "offers": spent}


@contextmanager
def commits(journal: Path) -> Iterator[list[bytes]]:
    """Collects the journal file as it is after each commit: every state that a crash can leave behind."""
    found: list[bytes] = []
    flush = Journal.flush

    def noting(self: Journal) -> None:
        flush(self)
        if self.path == journal and journal.exists():
            with closing(sqlite3.connect(journal)) as db:
                state = db.serialize()
            if not found or found[-1] != state:
                found.append(state)

    Journal.flush = noting  # type: ignore[method-assign]  # put back below
    try:
        yield found
    finally:
        Journal.flush = flush  # type: ignore[method-assign]
