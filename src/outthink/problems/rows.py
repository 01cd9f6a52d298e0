"""From a row of a table (a mapping of column names to JSON values) to a problem. No files here.

Which column is what is found by name, whatever its case, unless the user says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outthink.core.errors import BadInput, UnknownName
from outthink.core.problem import Problem

Row = Mapping[str, Any]

# First match wins. SVAMP keeps a problem in two columns; GSM8K keeps a whole solution in `answer`, MATH beside it.
KNOWN: dict[str, tuple[str, ...]] = {
    "problem": ("problem", "body+question", "question", "prompt", "input", "query", "text"),
    "gold": ("gold", "answer", "final_answer", "expected_answer", "target", "label", "solution", "output"),
    "id": ("id", "problem_id", "unique_id", "question_id", "task_id", "uid", "name", "idx"),
    "options": ("options", "choices"),
}
_HASHES = re.compile(r"^####[ \t]*(\S.*?)\s*\Z", re.MULTILINE)


class BadRow(Exception):
    """One row that can't be used; the message says why."""


@dataclass(frozen=True)
class Columns:
    """Which columns hold what: `{"problem": "question", "gold": "label", "id": "key", "options": "choices"}`.

    What is not named is looked for among the usual names. `a+b` joins two columns with a space.
    Raises UnknownName for a part that a problem doesn't have.
    """

    named: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part, column in self.named.items():
            if part not in KNOWN:
                raise UnknownName("part of a problem", part, KNOWN)
            if not isinstance(column, str) or not column.strip():
                raise BadInput(f"the column of {part} must be a name and is {column!r}", where="columns")

    def problem(self, row: Row) -> Problem:
        """The problem of a row; raises BadRow."""
        names = {name.strip().lower(): name for name in row if isinstance(name, str)}
        used: set[str] = set()

        def value(part: str) -> Any:
            for column in (self.named[part],) if part in self.named else KNOWN[part]:
                wanted = [column] if column in row else column.split("+")
                found = [name if name in row else names.get(name.strip().lower()) for name in wanted]
                if None not in found:
                    used.update(name for name in found if name is not None)
                    values = [row[name] for name in found if name is not None]
                    return values[0] if len(values) == 1 else " ".join(_text(part, each) for each in values)
            if part in self.named or part == "problem":
                looked = self.named.get(part) or ", ".join(KNOWN[part])
                has = ", ".join(str(name) for name in list(row)[:12]) or "none"
                raise BadRow(f"no column for the {part}: looked for {looked[:200]}; it has {has[:300]}")
            return None

        text = _text("problem", value("problem"))
        gold, name, options = value("gold"), value("id"), value("options")
        rest = {str(column): _plain(row[column]) for column in row if column not in used and column is not None}
        try:
            choices = _options(options)
            return Problem(text, _scalar("id", name) or "", _gold(gold, choices), choices, rest)
        except BadInput as error:
            raise BadRow(str(error)) from None


def _text(part: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadRow(f"the {part} is {_name(value)} and must be a text")
    if not value.strip():
        raise BadRow(f"the {part} is empty")
    return _encodable(part, value)


def _encodable(part: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRow(f"the {part} holds half of a surrogate pair (\\ud800 to \\udfff without its partner)") from None
    return value


def _scalar(part: str, value: Any) -> str | None:
    """A text, or a finite number as text (27.0 is 27); None where there is nothing."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return _encodable(part, value.strip())
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadRow(f"the {part} is {value}, which is no number; leave it out where there is none")
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, bool | int):
        return str(value)
    raise BadRow(f"the {part} is {_name(value)} and must be a text or a number")


def _gold(value: Any, options: tuple[str, ...]) -> str | None:
    """The last line of a GSM8K solution, a letter for the position (from 0) of an option, else the value as text."""
    if isinstance(value, int) and options and str(value) not in options:
        if isinstance(value, bool) or not 0 <= value < len(options):
            raise BadRow(f"the gold answer is option {value}, counted from 0, of {len(options)}")
        return chr(ord("A") + value)
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    gold = _scalar("gold answer", value)
    final = _HASHES.search(gold) if gold is not None else None
    return final.group(1) if final else gold


def _options(value: Any) -> tuple[str, ...]:
    if isinstance(value, Mapping) and isinstance(value.get("text"), Sequence):  # {"label": ["A", ...], "text": [...]}
        value = value["text"]
    elif isinstance(value, Mapping):
        value = [value[letter] for letter in sorted(value)]
    if value is None or value == "":
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise BadRow(f"the options are {_name(value)} and must be a list")
    options = tuple(_scalar("options", option) for option in value)
    if None in options:
        raise BadRow("one of the options is empty")
    return tuple(option for option in options if option is not None)


def _plain(value: Any) -> Any:
    """The value as plain JSON; what is no JSON value becomes its text, what is not finite becomes None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)


def _name(value: Any) -> str:
    return {type(None): "null", dict: "an object", list: "a list", bool: "true or false"}.get(
        type(value), f"a {type(value).__name__}"
    )
