"""Golden journals: what each strategy asked for and got in the toy world, as small files that a review can read.

    python -m outthink.testing.golden FOLDER [STRATEGY ...]

writes them anew, one per strategy. A change of a golden file is a change of what the strategy does.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from outthink import catalogue
from outthink.runtime.rows import COLUMNS, from_row
from outthink.testing.trials import cases, told, trial

SEED = 4
"""One at which the drafts of self_refine don't end at once."""


def golden(strategy: str) -> dict[str, Any]:
    """The journal of the strategy's first case, in key order and without times, and what came of it."""
    case = cases(strategy)[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.db"
        result = trial(case, journal=path, seed=SEED).done
        operations = _operations(path)
    found = told(result) | {"usage": {name: value for name, value in result.usage.fields().items() if name != "seconds"}}
    found["offers"] = [
        {"answer": offer.selection.answer, "samples": offer.usage.samples, "tokens": offer.usage.tokens}
        for offer in result.offers
    ]
    del found["samples"]  # they are among the operations
    return {
        "strategy": case.strategy.name,
        "parameters": dict(case.parameters),
        "verifier": case.verifier,
        "operations": operations,
        "result": found,
    }


def _operations(path: Path) -> list[dict[str, Any]]:
    found: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    with closing(sqlite3.connect(path)) as db:
        for row in map(from_row, db.execute(f"SELECT {', '.join(COLUMNS)} FROM samples WHERE state != 'sent'")):
            where = (row.path, row.seq, row.index)
            fields = {"state": row.state, "digest": row.digest, "text": row.text, "tokens": row.tokens}
            found.append((where, {"key": _key(*where), **fields}))
        for place, seq, kind, value in db.execute("SELECT path, seq, kind, value FROM outcomes"):
            where = (tuple(int(part) for part in place.split(".")) if place else (), seq, -1)
            found.append((where, {"key": _key(*where), "kind": kind, "value": _timeless(json.loads(value))}))
    return [operation for _, operation in sorted(found, key=lambda pair: pair[0])]


def _key(path: tuple[int, ...], seq: int, index: int) -> str:
    place = ".".join(map(str, (*path, seq)))
    return place if index < 0 else f"{place}#{index}"


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(part) for name, part in value.items() if name != "seconds"}
    return value


def text(strategy: str) -> str:
    """A golden file's content."""
    return json.dumps(golden(strategy), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the files; returns the exit code."""
    if not arguments or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: python -m outthink.testing.golden FOLDER [STRATEGY ...]\n")
        return 2
    for name in arguments[1:] or catalogue.strategies():
        (Path(arguments[0]) / f"{catalogue.strategy(name).name}.json").write_text(text(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
