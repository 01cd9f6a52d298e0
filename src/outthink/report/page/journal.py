"""What the page asks of a journal: the list of its runs, one run, the whole text of one sample. Plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outthink.core.errors import OutthinkError
from outthink.core.strategy import Strategy
from outthink.report.run_view import listed, sample_text, view

MOST_TEXT = 20_000
"""Characters of one text in a file of its own, which can't ask for more later."""
MOST_CHARACTERS = 30_000_000
"""Characters of all samples in such a file: a browser still opens it quickly."""


def home(path: str | Path) -> dict[str, Any]:
    """Where a visit begins. Raises BadInput, JournalDamaged."""
    return {"kind": "journal", "title": Path(path).name, **listed(path)}


def run(path: str | Path, name: str | None, known: Mapping[str, Strategy] = {}) -> dict[str, Any]:
    """One run; `live`: it may still go on, so that looking again is worth while. Raises UnknownName, JournalDamaged.

    known: strategies that the catalogue hasn't
    """
    return view(path, name, known=known) | {"live": True}


def sample(path: str | Path, name: str | None, which: str) -> dict[str, Any]:
    """All of a sample's text. Raises UnknownName, JournalDamaged."""
    return sample_text(path, name, which)


def document(path: str | Path, name: str | None = None, known: Mapping[str, Strategy] = {}) -> dict[str, Any]:
    """Everything for a file of its own: the list of runs, and as many whole runs as fit, oldest first; `name`: only this one.

    known: strategies that the catalogue hasn't

    Raises UnknownName, BadInput, JournalDamaged, and BadInput where not one run fits.
    """
    listing = home(path)
    if name is not None:
        found = view(path, name, most_text=MOST_TEXT, known=known)
        listing |= {"runs": [each for each in listing["runs"] if each["name"] == name] or [_listed(found)], "total": 1}
        return {"home": listing, "views": [found]}
    views: list[dict[str, Any]] = []
    left = MOST_CHARACTERS
    for each in listing["runs"]:
        if left <= 0:
            each["closed"] = True
            continue
        try:
            found = view(path, each["name"], most_text=MOST_TEXT, known=known)
        except OutthinkError as error:  # one broken run hides no other
            each |= {"closed": True, "reason": str(error)}
            continue
        left -= sum(len(shown["text"]) for shown in found["samples"])
        views.append(found)
    return {"home": listing, "views": views}


def _listed(found: dict[str, Any]) -> dict[str, Any]:
    usage = found["usage"]
    return {
        "name": found["name"],
        "state": found["state"],
        "answer": found["answer"],
        "seconds": found["wall_seconds"],
        "samples": usage["samples"],
        "tokens": usage["prompt_tokens"] + usage["completion_tokens"],
    }
