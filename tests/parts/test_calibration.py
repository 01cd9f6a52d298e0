"""Maps from scores to chances: they rise, survive their file, and no broken file gets through."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Result
from outthink.parts.calibration import Calibration, CalibrationOrFile, Line
from outthink.parts.process import Process
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import SimulatedBackend
from outthink.testing.trees import Node, TreeWorld
from outthink.verifiers.rollouts import Rollouts
from outthink.verifiers.step_judge import StepJudge
from outthink.verifiers.verdict import Verdict

MAPS = Calibration("length", "chance", Line(1.0, 0.0, 50), {1: Line(2.0, -0.5, 200)}, {"truth": "value"})
LINES = st.builds(Line, st.floats(0, 1e6), st.floats(-1e6, 1e6), st.integers(0, 10**9))


@given(st.sampled_from(["chance", "number"]), LINES, st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=8), st.integers(1, 3))
def test_a_higher_score_is_never_worth_less(scale: str, line: Line, scores: list[float], depth: int) -> None:
    maps = Calibration("any", scale, line, {2: Line(0.0, 1.0, 3)})
    chances = [maps.chance(score, depth) for score in sorted(scores)]
    assert all(chance is not None and 0 <= chance <= 1 for chance in chances)
    assert chances == sorted(chances, key=lambda chance: chance or 0.0)
    assert maps.chance(None, depth) is maps.chance(math.nan, depth) is maps.chance(math.inf, depth) is None


@given(LINES, st.dictionaries(st.integers(1, 99), LINES, max_size=3), st.text(min_size=1, max_size=9))
def test_the_file_says_what_the_maps_say(line: Line, depths: dict[int, Line], name: str) -> None:
    maps = Calibration(name, "number", line, depths)
    assert Calibration.from_json(maps.to_json()) == maps
    assert Calibration.from_json(maps.to_json()).fingerprint == maps.fingerprint


def test_slope_one_and_nothing_added_leaves_a_chance_as_it_is() -> None:
    assert MAPS.chance(0.3, 7) == pytest.approx(0.3)
    assert MAPS.chance(0.5, 1) == pytest.approx(1 / (1 + math.exp(0.5)))
    assert (MAPS.chance(0.0, 2), MAPS.chance(1.0, 2)) == (pytest.approx(1e-9), pytest.approx(1 - 1e-9))


def document(**changed: Any) -> str:
    return json.dumps({**json.loads(MAPS.to_json()), **changed})


BROKEN = {
    "": "is no JSON",
    "[1": "is no JSON",
    "[]": "is no calibration of ours",
    document(kind="outthink.law"): "is no calibration of ours",
    document(version=2): "has version 2, and 1 can be read; fit it again",
    document(version="x" * 10**6): "has version 'xxx",
    document(verifier=""): "names no verifier",
    document(scale="odds"): "a scale other than chance and number",
    document(pooled=None): "pooled: there is no map",
    document(pooled={"slope": math.nan, "intercept": 0, "labels": 1}): "pooled: slope is nan and must be a finite number",
    document(pooled={"slope": 1, "intercept": math.inf, "labels": 1}): "intercept is inf",
    document(pooled={"slope": True, "intercept": 0, "labels": 1}): "slope is True",
    document(pooled={"slope": 1, "intercept": 0, "labels": -1}): "labels is -1",
    document(depths={"1": {"slope": -0.5, "intercept": 0, "labels": 1}}): "depth 1: slope is -0.5: the map falls",
    document(depths={"0": {"slope": 1, "intercept": 0, "labels": 1}}): "depth '0' is no number of steps",
    document(depths={"one": {}}): "depth 'one' is no number",
    document(depths=[]): "depths and notes must be objects",
}


@pytest.mark.parametrize(("text", "says"), BROKEN.items(), ids=range(len(BROKEN)))
def test_broken_files_are_told_by_name(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "maps.json"
    path.write_text(text)
    with pytest.raises(BadInput, match=f"calibration {path}") as raised:
        Verdict(calibration=path)
    assert says in str(raised.value)
    assert len(str(raised.value)) < 500


def test_no_file_and_no_name() -> None:
    with pytest.raises(BadInput, match=r"nowhere\.json: can't be read: No such file"):
        StepJudge(calibration="nowhere.json")
    with pytest.raises(BadInput, match="can't be read"):
        StepJudge(calibration="a\0b")
    with pytest.raises(BadInput, match="is 7 and must be a file"):
        Rollouts(calibration=7)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(BadInput, match="was fitted to verifier length, and this is verdict"):
        Verdict(calibration=MAPS)


class Length(Process):
    """Half for the first step, and so on."""

    def __init__(self, aggregate: str = "last", calibration: CalibrationOrFile = None) -> None:
        super().__init__("length", aggregate, calibration)

    async def judged(self, run: Run, problem: Problem, texts: Sequence[str]) -> list[float | None]:
        return [None if "tin" in text else 0.5 ** text.count("\n\n") for text in texts]


def test_steps_are_mapped_by_their_depth_before_they_are_aggregated() -> None:
    tree = TreeWorld.grown({"p": ("gold", Node(below={"a": Node(1.0, below={"gold": Node(1.0)})}))})

    async def main(verifier: Process) -> Result:
        async with Session(SimulatedBackend(tree), task=tree.task, verifier=verifier) as session:
            return await session.solve(tree.problems[0], "best_of_n", n=2)

    def chance(odds: float) -> float:
        return 1 / (1 + math.exp(-odds))

    whole = run_virtually(main(Length(calibration=MAPS)))
    assert whole.confidence == pytest.approx(0.5), "two steps: the pooled map, which changes nothing"
    both = run_virtually(main(Length("product", MAPS)))
    assert both.confidence == pytest.approx(chance(-0.5) * 0.5), "one boundary is before the end of the first step"
    assert Length(calibration=MAPS).name == f"length(aggregate=last, calibration={MAPS.fingerprint})"
    other = Calibration("length", "chance", Line(1.0, 0.1, 50))
    assert Length(calibration=other).name != Length(calibration=MAPS).name, "a journal of one is not the other's"
