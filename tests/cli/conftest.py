"""A fake server for all tests of the command line, and the command line as a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from outthink.cli.app import app
from outthink.cli.failures import guarded
from outthink.testing.fake_server import FakeServerProcess, FakeSettings, HashWorld


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Outthink = Callable[..., Said]


@pytest.fixture(scope="session")
def server() -> Iterator[FakeServerProcess]:
    with FakeServerProcess(FakeSettings()) as running:
        yield running


@pytest.fixture
def model(server: FakeServerProcess) -> str:
    return f"{server.url}#fake"


@pytest.fixture
def outthink(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Outthink:
    """Run a command line in an empty folder with an empty home."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*words: str) -> Said:
        monkeypatch.setattr("sys.argv", ["outthink", *words])
        capsys.readouterr()
        code = guarded(app)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


@pytest.fixture
def problems(outthink: Outthink) -> Path:
    """A file of six problems in the folder where commands run."""
    path = Path("problems.jsonl")
    path.write_text("".join(json.dumps({"problem": t, "gold": g}) + "\n" for t, g in HashWorld().problems(6)))
    return path
