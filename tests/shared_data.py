"""Where the recorded data lies that some tests check fidelity against; they skip where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Read once, at import: tests run in an environment cleaned of our settings.
FOLDER = Path(os.environ.get("OUTTHINK_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")


def shared(path: str) -> Path:
    """A file of the shared data; skips the test where there is none."""
    file = FOLDER / path
    if not file.exists():
        pytest.skip(f"recorded data {path} is not here (set OUTTHINK_SHARED_DATA to its folder)")
    return file
