"""What all commands have in common, and the two that spend nothing or next to nothing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from outthink import catalogue
from outthink.cli.app import app
from outthink.runtime.recorded import read_rows
from tests.cli.conftest import Outthink


@pytest.mark.parametrize("command", ["", *app.commands])
def test_help_is_there_and_light(command: str) -> None:
    program = (
        "import sys; from outthink.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    words = [command] if command else []
    done = subprocess.run([sys.executable, "-c", program, *words, "--help"], capture_output=True, text=True, check=True)
    assert "Usage: " in done.stdout
    assert not {"aiohttp", "asyncio", "numpy", "polars", "matplotlib", "rich", "sqlite3"} & set(done.stderr.split())


@pytest.mark.parametrize("command", app.commands.values(), ids=lambda command: command.name)
def test_every_flag_is_described(command: object) -> None:
    assert getattr(command, "help", "")
    for option in getattr(command, "params", []):
        assert option.param_type_name == "argument" or option.help or option.show_default, option.name


def test_strategies_lists_all_that_there_are(outthink: Outthink) -> None:
    assert [line.split()[0] for line in outthink("strategies").out.splitlines()[1:]] == catalogue.strategies()
    assert [each["name"] for each in outthink("strategies", "--json").document] == catalogue.strategies()


def test_one_strategy_is_described_and_cited(outthink: Outthink) -> None:
    text = outthink("strategies", "self-certainty").out
    assert "2502.18581" in text
    assert "p=0.5" in text
    cited = outthink("strategies", "majority", "--cite").out
    assert re.search(r"eprint = \{2203\.11171\}", cited)
    assert outthink("strategies", "single", "--cite").out == ""
    unknown = outthink("strategies", "self-certainy")
    assert unknown.code == 2
    assert "did you mean self_certainty" in unknown.err


def test_probe_says_what_was_seen(outthink: Outthink, model: str) -> None:
    found = outthink("probe", model, "--features", "chat,max_tokens", "--json").document
    assert {each["feature"]: each["verdict"] for each in found["findings"]} == {"chat": "yes", "max_tokens": "yes"}
    assert outthink("probe", model, "--features", "chat").out.splitlines()[1].split()[:2] == ["chat", "yes"]
    unknown = outthink("probe", model, "--features", "chats")
    assert unknown.code == 2
    assert "did you mean chat" in unknown.err
    assert outthink("probe", "http://127.0.0.1:9").code == 4


SMALL = ("--problems", "2", "--samples", "2", "--replicates", "1", "--live", "0", "--folder", "out")


def test_demo_is_refused_before_anything_is_spent_where_the_model_cannot_serve_it(outthink: Outthink, model: str) -> None:
    said = outthink("demo", "--model", model, *SMALL)
    assert said.code == 2
    assert "log-probabilities" in said.err
    assert "go on with" not in said.err


@pytest.mark.model
def test_demo_leaves_what_it_says_and_pays_once(outthink: Outthink) -> None:
    said = outthink("demo", *SMALL)
    assert said.code == 0, said.err
    assert "majority" in said.out
    files = [Path(line.partition(": ")[2]) for line in said.err.splitlines()]
    assert all(path.is_file() for path in files)
    rows = len(list(read_rows(files[2])))
    assert rows >= 4
    assert outthink("demo", *SMALL, "--json").document["rows"]
    assert len(list(read_rows(files[2]))) == rows
