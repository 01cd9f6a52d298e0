"""What callers give, checked for its kind, so that a slip is told by name and not found deep inside. What it means is not known
here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from outthink.core.errors import BadInput

_WORDS = {"int": "a whole number", "float": "a finite number", "str": "a text", "bool": "true or false", "None": "None"}
_SEVERAL = re.compile(r"tuple\[(int|float|str|bool), \.\.\.\]")


def whole(name: str, value: Any, least: int | None = None) -> int:
    """The value, if it is a whole number of at least `least`. Raises BadInput naming it."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInput(f"is {value!r} and must be a whole number", where=name)
    if least is not None and value < least:
        raise BadInput(f"is {value} and must be at least {least}", where=name)
    return value


def by_name(name: str, value: Any) -> Mapping[str, Any]:
    """The value, if it maps texts to something; None is empty. Raises BadInput naming it."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadInput(f"is {value!r} and must be values by name, such as {{'n': 16}}", where=name)
    return value


def instance(name: str, value: Any, kind: type, hint: str) -> None:
    """Raise BadInput naming it unless the value is None or of this kind."""
    if value is not None and not isinstance(value, kind):
        raise BadInput(f"is {value!r} and must be {hint}", where=name)


def fits(annotation: str, value: Any) -> bool:
    """Whether a value is what a plain annotation such as "int | None" or "tuple[float, ...]" says; True for any other one.

    A number must be finite; a list is as good as a tuple.
    """
    if (found := _SEVERAL.fullmatch(annotation)) is not None:
        return isinstance(value, list | tuple) and all(fits(found[1], each) for each in value)
    kinds = [part.strip() for part in annotation.split("|")]
    if not all(kind in _WORDS for kind in kinds):
        return True
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if value is None or isinstance(value, bool):
        return ("None" if value is None else "bool") in kinds
    if isinstance(value, int):
        return "int" in kinds or "float" in kinds
    return type(value).__name__ in kinds


def in_words(annotation: str) -> str:
    """A plain annotation for a reader: "a whole number or None"."""
    if (found := _SEVERAL.fullmatch(annotation)) is not None:
        return f"a list, each of it {in_words(found[1])}"
    return " or ".join(_WORDS[part.strip()] for part in annotation.split("|"))
