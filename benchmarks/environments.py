"""Environments of other projects that benchmarks put beside ours: one each, in the user's cache folder. No measurement here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def interpreter(requirement: str) -> Path:
    """The Python that has `requirement` (as pip reads it) and nothing of ours; its environment is made on first use."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = cache / "outthink" / "benchmarks" / requirement
    python = home / "bin" / "python"
    if not (home / "done").exists():
        print(f"installing {requirement} into {home}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", requirement], check=True)
        (home / "done").touch()
    return python
