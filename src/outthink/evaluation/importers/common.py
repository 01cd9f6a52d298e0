"""What all importers share: their options, how values become ours, and what completes a row."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from outthink.core.errors import BadInput, shortly
from outthink.core.problem import Problem
from outthink.core.sample import Finish
from outthink.evaluation.schema import SCHEMA

Row = dict[str, Any]

_FINISHES = {
    "stop": Finish.STOP, "end_turn": Finish.STOP, "stop_sequence": Finish.STOP, "eos": Finish.EOS, "eos_token": Finish.EOS,
    "length": Finish.LENGTH, "max_tokens": Finish.LENGTH, "model_length": Finish.LENGTH, "content_filter": Finish.FILTERED,
}  # fmt: skip
_RIGHT = {
    "c": True,
    "correct": True,
    "true": True,
    "yes": True,
    "i": False,
    "incorrect": False,
    "false": False,
    "no": False,
    "n": False,
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the user says about a file.

    columns: our name to theirs; a dotted name (`usage.output_tokens`) reaches into nested values
    model:   who made the samples, where the file doesn't say
    filter:  lm-evaluation-harness: which filter's answers; default: the first in the file
    scorer:  inspect_ai: which scorer's grades; default: the first
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    filter: str | None = None
    scorer: str | None = None


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a file holds: rows with their places (for messages), and where they come from."""

    rows: Iterator[tuple[str, Row]]
    provenance: str
    metadata: Mapping[str, str] = field(default_factory=dict)


def completed(rows: Iterable[tuple[str, Row]], problems: Mapping[str, Problem], path: Path) -> Iterator[Row]:
    """Rows with names of problems, numbers of samples, texts and golds, in our types. Raises BadInput naming the place."""
    numbers: Counter[tuple[str, str]] = Counter()
    golds: dict[str, str] = {}
    for place, found in rows:
        # A cell with nothing in it says nothing; only a text may be empty.
        row = {name: value for name, value in found.items() if value is not None and (value != "" or name == "text")}
        options = row.pop("options", None)
        try:
            row = {name: typed(name, value) for name, value in row.items()}
        except ValueError as error:
            raise BadInput(str(error), where=place) from None
        if not row.get("problem_id"):
            if not row.get("problem"):
                raise BadInput("has neither problem_id nor problem; map one of them by --column", where=place)
            row["problem_id"] = Problem(row["problem"]).id
        if not row.get("model"):
            raise BadInput("doesn't say which model made the samples; name it by --model", where=place)
        if (problem := problems.get(row["problem_id"])) is not None:
            row = {"problem": problem.text, "gold": problem.gold, **row}
        elif problems:
            first = next(iter(problems))
            message = f"problem {row['problem_id']!r} isn't among the --problems, whose first is {first!r}; ids must be the same"
            raise BadInput(f"{message} (--problem-ids numbers them)", where=place)
        if (gold := row.get("gold")) is not None and gold != (before := golds.setdefault(row["problem_id"], gold)):
            asked = f"problem {row['problem_id']!r}"
            raise BadInput(f"{asked} has the gold {shortly(gold)} here, and had {shortly(before)} before", where=place)
        of = row["problem_id"], row["model"]
        row.setdefault("sample_index", numbers[of])
        numbers[of] = max(numbers[of], row["sample_index"]) + 1
        if row.get("answer") is not None:
            row.setdefault("answer_class", row["answer"])
        yield row if options is None else {**row, "options": options}


def typed(name: str, value: Any) -> Any:
    """A value as the column holds it. Raises ValueError saying what it must be."""
    kind = SCHEMA[name]
    if name == "finish":
        return finish_of(value)
    if kind == pl.String:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if kind == pl.Boolean:
        return grade_of(value, name)
    if kind in (pl.Int32, pl.Int64):
        return _whole(value, name)
    if kind == pl.Float64:
        return _number(value, name)
    if not isinstance(value, list):
        raise ValueError(f"{name}: {shortly(value)} must be a list")
    if name == "step_scores":  # NaN: the verifier didn't say
        return [None if isinstance(each, float) and math.isnan(each) else each for each in value]
    return value


def grade_of(value: Any, name: str = "correct") -> bool:
    """True or false from what frameworks write for it: 1, 0.0, "C", "I", "true" ... Raises ValueError."""
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.strip().lower() in _RIGHT:
        return _RIGHT[value.strip().lower()]
    raise ValueError(f"{name}: {shortly(value)} must be true or false")


def finish_of(value: Any) -> str:
    """Our word for why a sample ended."""
    known = [finish.value for finish in Finish]
    return value if value in known else _FINISHES.get(value, Finish.OTHER).value if isinstance(value, str) else Finish.OTHER.value


def read_json(path: Path) -> Any:
    """A JSON document. Raises BadInput."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"can't be read: {error.strerror or error}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise BadInput(f"is no JSON: {error}", where=str(path)) from None


def settings(found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """`temperature` and `sampling` of a row, from settings under other names (ours to theirs)."""
    kept = {ours: found[theirs] for ours, theirs in names.items() if found.get(theirs) is not None}
    made: dict[str, Any] = {"sampling": json.dumps(kept)} if kept else {}
    return made | ({"temperature": kept["temperature"]} if "temperature" in kept else {})


def _whole(value: Any, name: str) -> int:
    number = _number(value, name)
    if number != math.floor(number):
        raise ValueError(f"{name}: {shortly(value)} must be a whole number")
    return int(number)


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: {shortly(value)} must be a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{name}: {shortly(value)} must be a finite number")
    return number
