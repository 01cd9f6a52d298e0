"""From TOML tables to frozen dataclasses: every value is checked, every error names the place and what to write instead.

A field is declared with `setting`; its type says what TOML may hold. Which settings there are must not live here.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from outthink.core.budget import Budget, Prices
from outthink.core.errors import BadInput, UnknownName
from outthink.models import prices_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting is for (a sentence), and which values it takes: between `least` and `most`, or one of `choices`.

    secret: its value never shows, not even in the error that refuses it
    """

    help: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    secret: bool = False


def setting(
    help: str,
    default: Any = MISSING,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: Sequence[str] = (),
    secret: bool = False,
) -> Any:
    """A field of a settings class; without `default` it must be given. See `Rule`."""
    metadata = {"rule": Rule(help, least, most, tuple(choices), secret)}
    if isinstance(default, (dict, list)) or is_dataclass(default):
        return field(default_factory=lambda: default, metadata=metadata, kw_only=True)
    return field(default=default, metadata=metadata, kw_only=True)


def rule_of(each: Field[Any]) -> Rule:
    """What was declared of a field."""
    rule = each.metadata["rule"]
    assert isinstance(rule, Rule)
    return rule


def table(kind: type[T], found: object, where: str) -> T:
    """An instance of a settings class from a TOML table. `where` names file and table, see `inside`.

    Raises UnknownName for a setting that isn't there, BadInput for a missing one and for a value that doesn't fit.
    """
    if not isinstance(found, Mapping):
        raise BadInput("must be a table of settings", where=where)
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]  # every settings class is a dataclass
    for name in found:
        if name not in known:
            raise UnknownName(f"setting of {where.removesuffix(':')}", name, known)
    hints = get_type_hints(kind)
    made = {}
    for name, each in known.items():
        place = inside(where, name)
        if name in found:
            made[name] = _value(found[name], hints[name], rule_of(each), place)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise BadInput(f"is missing; it is {rule_of(each).help}", where=place)
    try:
        return kind(**made)
    except BadInput as error:
        raise BadInput(str(error), where=where) from None


def inside(where: str, name: str) -> str:
    """The place of a setting in a table: "gateway.toml: models.qwen", then "gateway.toml: models.qwen.task"."""
    return f"{where} {name}" if where.endswith(":") else f"{where}.{name}"


def _value(found: Any, hint: Any, rule: Rule, where: str) -> Any:
    """A value as its type wants it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):  # TOML has no null: what is given is never None
        hint = next(each for each in arguments if each is not type(None))
        origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        if not isinstance(found, list):
            raise BadInput(f"is {_shown(found, rule)} and must be a list; write [...]", where=where)
        return tuple(_value(each, arguments[0], rule, f"{where}[{at}]") for at, each in enumerate(found))
    if origin is not None:  # Mapping[str, X]
        if not isinstance(found, Mapping):
            raise BadInput(f"is {_shown(found, rule)} and must be a table", where=where)
        return {name: _value(each, arguments[1], rule, inside(where, name)) for name, each in found.items()}
    if hint is Any:
        return found
    if is_dataclass(hint) and isinstance(hint, type) and hint not in (Budget, Prices):
        return table(hint, found, where)
    return _checked(_simple(found, hint, rule, where), rule, where)


def _simple(found: Any, hint: Any, rule: Rule, where: str) -> Any:
    made = _MADE.get(hint)
    if made is not None:
        try:
            return made(found)
        except BadInput as error:
            raise BadInput(str(error).removeprefix(f"{error.where}: "), where=where) from None
        except (TypeError, ValueError, AttributeError):
            raise BadInput(f"is {_shown(found, rule)} and must be {_WORDS[hint]}", where=where) from None
    wanted = (int, float) if hint is float else hint
    if not isinstance(found, wanted) or (isinstance(found, bool) and hint is not bool):
        raise BadInput(f"is {_shown(found, rule)} and must be {_WORDS[hint]}", where=where)
    if isinstance(found, float) and not math.isfinite(found):
        raise BadInput(f"is {found} and must be finite", where=where)
    return float(found) if hint is float else found


def _checked(value: Any, rule: Rule, where: str) -> Any:
    if rule.choices and value not in rule.choices:
        raise UnknownName(f"value of {where}", str(value), rule.choices)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if rule.least is not None and value < rule.least:
            raise BadInput(f"is {value:g} and must be at least {rule.least:g}", where=where)
        if rule.most is not None and value > rule.most:
            raise BadInput(f"is {value:g} and must be at most {rule.most:g}", where=where)
    return value


def _budget(found: object) -> Budget:
    if isinstance(found, str):
        return Budget.parse(found)
    raise TypeError


def _date(found: object) -> date:
    if isinstance(found, date) and not isinstance(found, datetime):
        return found
    raise TypeError


def _path(found: object) -> Path:
    if isinstance(found, str) and found and "\0" not in found:
        return Path(found).expanduser()
    raise TypeError


def _prices(found: object) -> Prices:
    if not isinstance(found, Mapping):
        raise TypeError
    prices = prices_of(found)
    assert prices is not None
    return prices


_MADE: dict[Any, Callable[[Any], Any]] = {Budget: _budget, date: _date, Path: _path, Prices: _prices}
_WORDS = {
    str: "a text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Budget: "a budget in quotes, such as '100k tokens, $0.50'",
    date: "a date without quotes, such as 2027-01-31",
    Path: "a path in quotes",
    Prices: "a table such as { prompt = 0.1, completion = 0.4 }",
}


def type_words(hint: Any) -> str:
    """The type of a setting in a word or two, for the reference."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return type_words(next(each for each in arguments if each is not type(None)))
    if origin is tuple:
        return f"list of {type_words(arguments[0])}s"
    if origin is not None or (is_dataclass(hint) and hint not in (Budget, Prices)):
        return "table"
    return _KINDS.get(hint, "any value")


_KINDS = {
    str: "text", int: "whole number", float: "number", bool: "true/false", Budget: "budget", date: "date", Path: "path",
    Prices: "table",
}  # fmt: skip


def _shown(found: object, rule: Rule) -> str:
    text = repr(found)
    return "not shown" if rule.secret else text if len(text) <= 60 else text[:57] + "..."
