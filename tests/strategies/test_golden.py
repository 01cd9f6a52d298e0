"""What each strategy asks for and gets in the toy world is what its golden file says.

After a change that is meant: python -m outthink.testing.golden tests/strategies/golden
"""

from __future__ import annotations

from pathlib import Path

import pytest

from outthink import catalogue
from outthink.testing import golden

FOLDER = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", catalogue.strategies())
def test_golden(name: str) -> None:
    assert golden.text(name) == (FOLDER / f"{name}.json").read_text(encoding="utf-8")


def test_every_file_has_its_strategy() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.json")) == catalogue.strategies()
