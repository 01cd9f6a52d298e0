"""Traces: boundaries are put back byte for byte, ended ones are frozen, scores are asked for once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.step import Steps
from outthink.core.strategy import strategy
from outthink.parts.aggregation import aggregated
from outthink.parts.process import Process
from outthink.parts.traces import ROOT, Trace, choose, grow, rate
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trees import Node, TreeVerifier, TreeWorld

CHAIN = TreeWorld.grown({"chain": ("end", Node(below={"one": Node(1, 0.5, {"two": Node(1, 0.6, {"end": Node(1, 0.9)})})}))})


class Lengths(Process):
    """Scores a text by its number of boundaries, and remembers what it was asked."""

    def __init__(self, aggregate: str = "last") -> None:
        super().__init__("lengths", aggregate)
        self.asked: list[str] = []

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        self.asked += texts
        return [float(text.count("\n\n")) for text in texts]


def trace_of(steps: int, verifier: object = None, rule: Steps | None = None) -> Trace:
    """The trace after so many growths in a world with a single answer."""
    found: list[Trace] = []

    @strategy("walk")
    async def walk(run: Run, problem: Problem) -> Selection:
        """Walk."""
        trace: Trace = ROOT
        for _ in range(steps):
            grown = await grow(run, problem, [trace])
            trace = (await rate(run, problem, [grown[0] or trace]))[0]
        found.append(trace)
        return await choose(run, problem, [trace])

    async def main() -> None:
        chosen = verifier or TreeVerifier(CHAIN)
        async with Session(SimulatedBackend(CHAIN), task=CHAIN.task, verifier=chosen, steps=rule) as session:  # type: ignore[arg-type]  # any object with score
            await session.solve(CHAIN.problems[0], walk)

    run_virtually(main())
    return found[0]


def test_boundaries_belong_to_the_text() -> None:
    assert [trace_of(steps).text for steps in (1, 2, 3)] == [
        "Then one\n\n",
        "Then one\n\nThen two\n\n",
        "Then one\n\nThen two\n\nThe answer is end.",
    ]
    assert [trace_of(steps).ended for steps in (1, 2, 3, 5)] == [None, None, Finish.EOS, Finish.EOS]
    assert trace_of(5).depth == 3, "what has ended doesn't grow"
    assert trace_of(3).scores == (0.5, 0.6, 0.9)


def test_steps_by_tokens_and_the_last_step() -> None:
    by_tokens = trace_of(2, rule=Steps(None, tokens=1))
    assert (by_tokens.text, by_tokens.ended) == ("Then one", None)
    whole = trace_of(1, rule=Steps(most=1))
    assert (whole.text.count("\n\n"), whole.ended) == (2, Finish.EOS), "the last step allowed goes to the end"
    early = trace_of(4, rule=Steps(complete=lambda problem, text: "two" in text))
    assert (early.depth, early.ended) == (2, Finish.EOS)


def test_a_process_verifier_scores_each_beginning_once() -> None:
    verifier = Lengths("min")
    assert trace_of(3, verifier).scores == (1.0, 1.0, 1.0)
    assert [text.count("\n\n") for text in verifier.asked] == [1, 2, 2]
    last = Lengths()
    assert trace_of(3, last).scores == (1.0, 2.0, 2.0)


def test_splitting() -> None:
    assert Steps().split("a\n\nb\n\n") == ["a\n\n", "a\n\nb\n\n"]
    assert Steps().split("a\n\nb") == ["a\n\n", "a\n\nb"]
    assert Steps().split("") == [""]
    assert Steps(None, tokens=4).split("a\n\nb") == ["a\n\nb"]
    for wrong in ({"boundary": ""}, {"boundary": None}, {"most": 0}, {"tokens": 0}):
        with pytest.raises(BadInput):
            Steps(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_aggregations() -> None:
    scores = [0.9, 0.5, 0.8]
    found = [aggregated(scores, how) for how in ("product", "min", "mean", "max", "last")]
    assert found == pytest.approx([0.36, 0.5, 2.2 / 3, 0.9, 0.8])
    assert aggregated([0.9, None, 0.8], "min") is None
    assert aggregated([0.9, None, 0.8], "last") == 0.8
    assert aggregated([], "last") is None


def test_a_cut_trace_can_go_on() -> None:
    trace = trace_of(3)
    assert (trace.cut(2).text, trace.cut(2).ended, trace.cut(2).score) == ("Then one\n\nThen two\n\n", None, 0.6)
    assert trace.cut(3) is trace
    assert isinstance(trace.steps[0], Sample)
