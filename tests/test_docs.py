"""The documents are true: their Python is run, their commands exist, their links lead somewhere.

Blocks of one document run in order in one namespace, in an empty folder. A block that needs a model file or a server is
marked `<!-- runs: model -->` on the line above it and runs with the tests marked `model`; ```` ```console ```` blocks are
parsed, not run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from outthink import catalogue
from outthink.cli.app import app
from outthink.cli.strategies import table

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^(<!-- runs: model -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")


@dataclass(frozen=True)
class Block:
    line: int
    language: str
    code: str
    model: bool


def blocks(document: Path) -> Iterator[Block]:
    text = document.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        yield Block(text.count("\n", 0, found.start(3)), found[2], found[3], bool(found[1]))


def python_of(document: Path, *, model: bool) -> list[Block]:
    """What to run: with `model` everything where a block needs it, else the blocks that don't."""
    found = [block for block in blocks(document) if block.language == "python"]
    if model:
        return found if any(block.model for block in found) else []
    return [block for block in found if not block.model]


def run(document: Path, found: list[Block], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    namespace: dict[str, Any] = {"__name__": document.stem.replace("-", "_")}
    for block in found:
        # Leading empty lines make a traceback name the line of the document.
        exec(compile("\n" * block.line + block.code, str(document), "exec"), namespace)


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if python_of(d, model=False)], ids=lambda d: d.name)
def test_python_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(document, python_of(document, model=False), tmp_path, monkeypatch)


@pytest.mark.model
@pytest.mark.parametrize("document", [d for d in DOCUMENTS if python_of(d, model=True)], ids=lambda d: d.name)
def test_python_runs_on_the_embedded_model(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(document, python_of(document, model=True), tmp_path, monkeypatch)


def commands() -> list[Any]:
    found = []
    for document in DOCUMENTS:
        for block in blocks(document):
            for line in block.code.replace("\\\n", " ").splitlines() if block.language == "console" else ():
                if line.startswith("$ outthink"):
                    words = shlex.split(line.split(" | ")[0], comments=True)[2:]
                    found.append(pytest.param(words, id=f"{document.name}: {line}"))
    return found


@pytest.mark.parametrize("words", commands())
def test_a_shown_command_is_accepted(words: list[str]) -> None:
    options = [word for word in words if word.startswith("-")]
    command: click.Command = app
    while isinstance(command, click.Group) and words:
        command = command.commands[words.pop(0)]
    if not {"--help", "--version"} & set(options):
        command.make_context(command.name, words).close()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_list_of_strategies_is_fresh() -> None:
    page = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    found = [catalogue.strategy(name) for name in catalogue.strategies()]
    assert table(found) in page, "run `make docs`"
