"""What callers give, checked for its kind, so that a slip is told by name and not found deep inside. What it means is not known
here.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from outthink.core.errors import BadInput, shortly

LARGEST = 1_000_000
"""Whole numbers of our own parameters lie within this of 0: they size what is held in memory. Others' may be dates or seeds."""

_WORDS = {"int": "a whole number", "float": "a finite number", "str": "a text", "bool": "true or false", "None": "None"}
_SEVERAL = re.compile(r"tuple\[(int|float|str|bool), \.\.\.\]")


def whole(name: str, value: Any, least: int | None = None) -> int:
    """The value, if it is a whole number of at least `least`. Raises BadInput naming it."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadInput(f"is {shortly(value)} and must be a whole number", where=name)
    if least is not None and value < least:
        raise BadInput(f"is {shortly(value)} and must be at least {least}", where=name)
    return value


def by_name(name: str, value: Any) -> Mapping[str, Any]:
    """The value, if it maps texts to something; None is empty. Raises BadInput naming it."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise BadInput(f"is {shortly(value)} and must be values by name, such as {{'n': 16}}", where=name)
    return value


def instance(name: str, value: Any, kind: type | tuple[type, ...], hint: str) -> None:
    """Raise BadInput naming it unless the value is None or of this kind."""
    if value is not None and not isinstance(value, kind):
        raise BadInput(f"is {shortly(value)} and must be {hint}", where=name)


class Parameter(NamedTuple):
    """Of a function that users set: its default (`inspect.Parameter.empty`: none), what it is said to be ("": nothing), and the
    most that a whole number may be."""

    default: Any
    annotation: str
    most: float = math.inf

    def check(self, value: Any, where: str) -> None:
        """Raise BadInput unless the value is of the kind that the annotation says, or else of its default's."""
        if value is self.default:
            return
        if not fits(self.annotation, value):
            raise BadInput(f"{shortly(value)} must be {in_words(self.annotation)}", where=where)
        if isinstance(value, int) and abs(value) > self.most:
            allowed = f"more than {self.most:,}" if value > 0 else f"less than {-self.most:,}"
            raise BadInput(f"{shortly(value)} is {allowed}", where=where)
        kinds = {float: (int, float), tuple: (list, tuple)}.get(type(self.default), type(self.default))
        # A plain annotation has said it all: the default of a float may be written 0.
        silent = not _plain(self.annotation) and self.default is not None and self.default is not inspect.Parameter.empty
        if silent and value is not None and not isinstance(value, kinds):
            raise BadInput(f"{shortly(value)} must be of the same kind as its default {self.default!r}", where=where)


@cache
def parameters_of(function: Callable[..., Any], skip: int = 0) -> Mapping[str, Parameter]:
    """The named parameters of a function or class, in order, without the first few."""
    found = list(inspect.signature(function).parameters.values())[skip:]
    said = {each.name: "" if each.annotation is each.empty else each.annotation for each in found}
    plain = {name: each if isinstance(each, str) else inspect.formatannotation(each) for name, each in said.items()}
    most = LARGEST if function.__module__.partition(".")[0] == __name__.partition(".")[0] else math.inf
    return MappingProxyType({each.name: Parameter(each.default, plain[each.name], most) for each in found})


def _plain(annotation: str) -> bool:
    return _SEVERAL.fullmatch(annotation) is not None or all(part.strip() in _WORDS for part in annotation.split("|"))


def fits(annotation: str, value: Any) -> bool:
    """Whether a value is what a plain annotation such as "int | None" or "tuple[float, ...]" says; True for any other one.

    A number must be finite; a list is as good as a tuple.
    """
    if (found := _SEVERAL.fullmatch(annotation)) is not None:
        return isinstance(value, list | tuple) and all(fits(found[1], each) for each in value)
    if not _plain(annotation):
        return True
    kinds = [part.strip() for part in annotation.split("|")]
    if isinstance(value, float):  # numpy's 64 bits too
        return math.isfinite(value) and "float" in kinds
    if value is None or isinstance(value, bool):
        return ("None" if value is None else "bool") in kinds
    if isinstance(value, int):
        return "int" in kinds or "float" in kinds
    return isinstance(value, str) and "str" in kinds


def in_words(annotation: str) -> str:
    """A plain annotation for a reader: "a whole number or None"."""
    if (found := _SEVERAL.fullmatch(annotation)) is not None:
        return f"a list, each of it {in_words(found[1])}"
    return " or ".join(_WORDS[part.strip()] for part in annotation.split("|"))
