"""Settings that are mistyped end a command with code 2 and a sentence that names them, and nothing is spent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outthink.evaluation.write import write_pool
from outthink.testing.fake_server import FakeServerProcess
from tests.cli.conftest import Outthink

PROBLEM = "Case 3: which number is hidden in this case?"

WRONG = {
    "temperature": ["-1", "11", "hot", "NaN", "1e999", "true", "", "[1]"],
    "top_p": ["0", "7", "-0.5", "Infinity"],
    "top_k": ["-1", "1.5", "many"],
    "min_p": ["1", "-1"],
    "max_tokens": ["0", "-5", "1.5", "1e999", "all"],
    "stop": ["5", "[5]", "1.5", "true", '{"a":1}', "", '[""]', '["a",null]'],
    "presence_penalty": ["3", "NaN"],
    "frequency_penalty": ["-3", "high"],
    "repeat_penalty": ["0", "-1", "1e999"],
}


@pytest.mark.parametrize("setting", WRONG)
def test_a_wrong_sampling_setting_is_named(outthink: Outthink, model: str, server: FakeServerProcess, setting: str) -> None:
    asked = len(server.entries())
    for value in WRONG[setting]:
        said = outthink("solve", PROBLEM, "--model", model, "--sampling", f"{setting}={value}")
        assert (said.code, said.out) == (2, "")
        assert f"{setting} is" in said.err
        Path("outthink.toml").write_text(f"sampling = ['{setting}={value}']")
        assert outthink("solve", PROBLEM, "--model", model).err == said.err
        Path("outthink.toml").unlink()
    assert len(server.entries()) == asked


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--role", "jugde=tiny"], "no role used by majority is called 'jugde'"),
        (["--strategy", "chops", "--role", "jugde=tiny"], "did you mean judge?"),
        (["--role", "generator=tiny"], "--model"),
        (["--verifier", "judge"], "would never be asked: no samples are scored by majority"),
        (["--sampling", "seed=3"], "known: frequency_penalty, max_tokens, min_p"),
        (["--param", "quorum=0"], "majority.quorum"),
        (["--param", "n=1000000000000"], "majority.n"),
        (["--param", "n=3", "--param", "quorum=4"], "4 samples must survive, and n=3 are asked for"),
        (["--verifier-setting", "top=3"], "there is no verifier to set"),
    ],
)
def test_what_nothing_uses_or_means_anything_is_refused(outthink: Outthink, model: str, words: list[str], message: str) -> None:
    said = outthink("solve", PROBLEM, "--model", model, *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("aggregation=foo", "did you mean aggregate or calibration?"),
        ("aggregate=foo", "no aggregation is called 'foo'"),
        ("aggregate=5", "aggregate: 5 must be a text"),
        ("max_tokens=-1", "max_tokens is -1"),
        ("max_tokens=1e3", "max_tokens: 1000.0 must be a whole number"),
        ("max_tokens=1000000000000", "more than 1,000,000"),
    ],
)
def test_a_wrong_setting_of_a_verifier_is_named(outthink: Outthink, model: str, setting: str, message: str) -> None:
    words = ("--strategy", "best_of_n", "--verifier", "step_judge", "--verifier-setting", setting)
    said = outthink("solve", PROBLEM, "--model", model, *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err


def test_a_settings_file_serves_many_commands(outthink: Outthink, model: str) -> None:
    """What it says and nothing here uses is left out and told; what is typed and nothing uses is refused."""
    Path("outthink.toml").write_text(f'model = "{model}"\nverifier = "judge"\n[role]\njudge = "{model}"\nprm = "{model}"\n')
    said = outthink("solve", PROBLEM, "--param", "n=2")
    assert said.code == 0
    assert "verifier judge of the settings file is left out" in said.err
    assert "role judge and prm of the settings file is left out" in said.err
    said = outthink("solve", PROBLEM, "--param", "n=2", "--strategy", "best_of_n", "--json")
    assert said.document["usage"]["calls"] == 4, "two samples were judged"
    assert "role prm of the settings file is left out" in said.err
    assert outthink("solve", PROBLEM, "--param", "n=2", "--verifier", "judge").code == 2


@pytest.mark.parametrize(
    "words", [("--budgets", "1"), ("--param", "n=3"), ("--verifier", "judge"), ("--seed", "0"), ("--task", "math")]
)
def test_what_is_for_a_pool_is_not_said_of_an_evaluation(outthink: Outthink, words: tuple[str, str]) -> None:
    rows = [{"strategy": name, "problem_id": "p", "accuracy": 1.0} for name in ("majority", "single")]
    Path("evaluation.json").write_text(json.dumps({"rows": rows}))
    for more in ((), ("--against", "evaluation.json")):
        said = outthink("compare", "evaluation.json", "majority", "single", *more, *words)
        assert (said.code, said.out) == (2, "")
        assert f"{words[0]}: has no effect: it is for a pool" in said.err
    Path("outthink.toml").write_text('[compare]\ntask = "math"\n')
    assert "has no effect" not in outthink("compare", "evaluation.json", "majority", "single").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--limit", "-1"), "--limit: is -1 and must be at least 1"),
        (("--limit", "0"), "--limit: is 0 and must be at least 1"),
        (("--column", "gold=answer"), "--column: has no effect: it is for a file of problems"),
        (("--task", "maths"), "did you mean math?"),
        (("--verifier", "self_certainty"), "no samples are scored by single and majority"),
        (("--strategies", "best_of_n", "--verifier", "self_certainty", "--verifier-setting", "tip=5"), "did you mean top?"),
        (("--strategies", "best_of_n", "--verifier-setting", "top=5"), "there is no verifier to set"),
        (("--role", "jugde=tiny"), "no role used by single and majority is called 'jugde'"),
        (("--total-budget", "0 samples"), "0 samples admits nothing at all"),
    ],
)
def test_settings_of_a_replay_are_checked_too(outthink: Outthink, words: tuple[str, ...], message: str) -> None:
    rows = [
        {"problem_id": "p", "problem": "6 x 7?", "gold": "7", "model": "recorded", "sample_index": at, "text": "7", "answer": "7"}
        for at in range(4)
    ]
    write_pool("pool.parquet", rows)
    said = outthink("eval", "--pool", "pool.parquet", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
