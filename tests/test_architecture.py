"""Rules about the sources themselves that no linter states: light import, one public surface, small files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import outthink

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "outthink"
SOURCES = sorted(PACKAGE.rglob("*.py"))

HEAVY = {
    "aiohttp", "asyncio", "click", "datasets", "filelock", "huggingface_hub", "jinja2", "math_verify", "matplotlib",
    "numpy", "polars", "rich", "sqlite3", "sympy", "xllamacpp",
}  # fmt: skip
LONGEST_FILE = 300  # lines
HOST_OR_PATH = re.compile(
    r"py" r"pi\.org|python" r"hosted|registry\.npm" r"js|deb\.deb" r"ian|conda\.ana" r"conda"
    r"|(?<![\w.~-])/(?:work|root|tmp|home|Users|farm)/\w"
)  # fmt: skip


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_import_is_light() -> None:
    program = "import sys, outthink; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


def test_every_public_name_is_real_and_documented() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert documented == set(outthink.__all__)
    assert list(outthink.__all__) == sorted(outthink.__all__)
    for name in outthink.__all__:
        assert getattr(outthink, name) is not None


def test_core_imports_the_standard_library_only() -> None:
    allowed = sys.stdlib_module_names | {"outthink"}
    for path in (PACKAGE / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            foreign = [name for name in names if name.partition(".")[0] not in allowed]
            assert not foreign, f"{short(path)}:{getattr(node, 'lineno', 0)} imports {foreign}"


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_a_source_file_is_described_and_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "begin with a docstring: what it is for, what must not live in it"
    assert text.count("\n") <= LONGEST_FILE, "split it: is a part missing, or a room too full?"


def test_a_strategy_has_the_name_of_its_file() -> None:
    files = [p for p in (PACKAGE / "strategies").rglob("*.py") if not p.stem.startswith("_")]
    assert files
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [
            call.args[0].value
            for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)
            for call in node.decorator_list
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "strategy"
            and call.args and isinstance(call.args[0], ast.Constant)
        ]  # fmt: skip
        assert names == [path.stem], f"{short(path)} must hold exactly the strategy `{path.stem}`"


def test_no_registry_host_and_no_path_of_one_machine_is_tracked() -> None:
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image or a model: no text to name anything in
        found = HOST_OR_PATH.search(text)
        assert not found, f"{short(path)} names {found.group()!r}"
