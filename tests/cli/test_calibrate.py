"""`outthink pool calibrate`: from a recorded search to a file that a verifier takes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from outthink.evaluation.write import write_pool
from outthink.tasks import countdown
from outthink.tasks.countdown_solver import line_of, moves, reachable
from outthink.verifiers.verdict import Verdict
from tests.cli.conftest import Outthink

METADATA = {"provenance": "made", "licence": "CC0-1.0", "task": "countdown", "verifier": Verdict().name}


def written(path: str = "tree.parquet", **metadata: str) -> str:
    """First steps of sixty problems; good ones score higher, and all far too high."""
    chance, rows = random.Random(0), []
    for problem in countdown.problems(60):
        numbers, target = countdown.read(problem)
        for index, move in enumerate(chance.sample(moves(numbers), 8)):
            good = target in reachable(move[-1])
            rows.append({
                "problem_id": problem.id, "problem": problem.text, "gold": problem.gold, "model": "m", "sample_index": index,
                "text": line_of(*move), "finish": "stop", "sampling": json.dumps({"stop": ["\n"]}),
                "score": 1 - 0.3 * chance.random() ** (1.5 if good else 0.7),
            })  # fmt: skip
    write_pool(path, rows, {**METADATA, **metadata})
    return path


def test_a_recorded_search_becomes_a_file_that_the_verifier_takes(outthink: Outthink) -> None:
    said = outthink("pool", "calibrate", written(), "--to", "maps.json")
    assert said.code == 0, said.err
    assert said.out.splitlines()[1].split()[:2] == ["1", "480"]
    assert "maps of 1 steps and a pooled one, for verdict(good|bad" in said.err
    verifier = Verdict(calibration="maps.json")
    assert verifier.name != Verdict().name
    found = outthink("pool", "calibrate", "tree.parquet", "--to", "maps.json", "--json").document
    (first, every) = found["effects"]
    assert (first["depth"], every["depth"], found["truth"]) == (1, 0, "value")
    assert first["change"]["high"] < 0, "scores near 1 of steps that are good half the time"


@pytest.mark.parametrize(
    ("words", "metadata", "message"),
    [
        ((), {"verifier": ""}, "doesn't say which verifier scored it; name it (--verifier)"),
        ((), {"verifier": Verdict(aggregate="min").name}, "record with aggregate=last and no calibration"),
        ((), {"task": "nobody's"}, "doesn't name a task that is known here; name it (--task)"),
        (("--truth", "outcomes"), {}, "holds no scored step whose worth is known"),
        (("--least", "481"), {}, "480 labelled steps"),
        (("--least", "1"), {}, "least: is 1 and must be at least 2"),
        (("--to", "no/such/folder"), {}, "can't be written: No such file"),
    ],
)
def test_what_can_not_be_fitted(outthink: Outthink, words: tuple[str, ...], metadata: dict[str, str], message: str) -> None:
    said = outthink("pool", "calibrate", written(**metadata), *(("--to", "maps.json") if "--to" not in words else ()), *words)
    assert said.code == 2
    assert message in said.err
    assert not Path("maps.json").exists()


def test_a_wrong_file_is_refused_before_anything_is_asked(outthink: Outthink) -> None:
    Path("maps.json").write_text('{"kind": "outthink.calibration", "version": 3}')
    said = outthink(
        "solve", "make 59 from 5 6 13 25", "--task", "countdown", "--model", "http://localhost:1/v1#m", "--strategy", "rebase",
        "--verifier", "verdict", "--verifier-setting", "calibration=maps.json",
    )  # fmt: skip
    assert said.code == 2
    assert "calibration maps.json: has version 3, and 1 can be read; fit it again" in said.err
