"""Samples that somebody recorded elsewhere, as rows of a pool: one module per format, what all share in `common`.

Nothing here asks a model. Whatever a format doesn't say stays null; nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem
from outthink.core.task import Task
from outthink.evaluation.description import require_stated
from outthink.evaluation.importers import crucible, inspect_log, json_lines, lm_eval
from outthink.evaluation.importers.common import Foreign, Options, Row, completed
from outthink.evaluation.write import PoolWriter

__all__ = ["FORMATS", "Imported", "Options", "format_of", "import_pool"]

AT_ONCE = 256
"""Rows whose answers are extracted together."""

FORMATS: Mapping[str, Callable[[Path, Options], Foreign]] = {
    "jsonl": json_lines.read,
    "lm-eval": lm_eval.read,
    "inspect": inspect_log.read,
    "crucible": crucible.read,
}


@dataclass(slots=True)
class Imported:
    """How many samples were written, and in what format they were."""

    written: int
    format: str


def format_of(path: Path) -> str:
    """The format of a file, by its name and its beginning. Raises BadInput where it is none that is known."""
    if not path.is_file():
        raise BadInput("there is no such file", where=str(path))
    if path.suffix == ".eval":
        return "inspect"
    if path.suffix == ".json":
        with path.open("rb") as file:
            head = file.read(1 << 16)
        if b'"eval"' in head and b'"version"' in head:
            return "inspect"
        if b'"records"' in head:
            return "crucible"
    if path.name.startswith("samples_") and path.suffix == ".jsonl":
        return "lm-eval"
    if path.suffix.removeprefix(".") in ("jsonl", "ndjson", "json", "csv", "tsv", "parquet", "gz"):
        return "jsonl"
    known = ", ".join(sorted(FORMATS))
    raise BadInput(f"its format can't be told from its name; say which by --format ({known})", where=str(path))


async def import_pool(
    source: str | Path,
    pool: str | Path,
    *,
    format: str | None = None,
    options: Options | None = None,
    task: Task | None = None,
    problems: Iterable[Problem] = (),
    metadata: Mapping[str, str],
) -> Imported:
    """Write a pool of the samples in a file.

    format:   one of `FORMATS`; None tells it from the file
    task:     extracts and grades the answers anew; None: what the file says counts, and answers are equal where their texts are
    problems: give texts and golds, by their ids, where the file has none
    metadata: must state its licence; where it comes from is said by the format if it isn't given

    Raises BadInput naming the place in the file, and what `PoolWriter` raises.
    """
    path = Path(source)
    name = format or format_of(path)
    if name not in FORMATS:
        raise UnknownName("format", name, FORMATS)
    foreign = FORMATS[name](path, options or Options())
    stated = {"provenance": foreign.provenance, **foreign.metadata, **metadata}
    require_stated(stated, f"pool {pool}")
    rows, classes = completed(foreign.rows, {problem.id: problem for problem in problems}, path), _Classes()
    found = 0
    with PoolWriter(pool, stated) as writer:
        while batch := list(islice(rows, AT_ONCE)):
            if task is not None:
                await _answered(task, batch, classes)
            for row in batch:
                writer.add({name: value for name, value in row.items() if name != "options"})
                found += 1
        if not found:
            raise BadInput("holds no sample", where=str(path))
    return Imported(writer.written, name)


_Classes = dict[str, list[str]]


async def _answered(task: Task, rows: list[Row], classes: _Classes) -> None:
    """Give rows their answers, classes and grades by the task; rows without a text keep what they have."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.get("text") is not None and row.get("failed") is None:
            groups.setdefault(row["problem_id"], []).append(row)
    for name, group in groups.items():
        if group[0].get("problem") is None:
            raise BadInput(f"problem {name!r} has no text, so no answer can be graded; give the --problems", where="import")
        problem = Problem(group[0]["problem"], id=name, gold=group[0].get("gold"), options=tuple(_options(group[0])))
        known = classes.setdefault(name, [])
        answers = await task.answers(problem, [row["text"] for row in group], known)
        known += [each for each in dict.fromkeys(a.answer_class for a in answers) if each is not None and each not in known]
        grades: list[bool | None] = [None] * len(group)
        if problem.gold is not None:
            grades = [*await task.grade(problem, [answer.text if answer.valid else None for answer in answers])]
        for row, answer, right in zip(group, answers, grades, strict=True):
            valid = answer.valid
            row |= {"answer": answer.text if valid else None, "answer_class": answer.answer_class, "correct": right}


def _options(row: Mapping[str, Any]) -> list[str]:
    found = row.get("options")
    return [each if isinstance(each, str) else json.dumps(each) for each in found] if isinstance(found, list) else []
