"""How a rule is told apart: a pure function that is given as a value. What rules decide is no business of this module."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass

from outthink.core.errors import BadInput


def rule_fields(rule: Callable[..., object]) -> object:
    """Plain JSON, the same for equal rules: the name of its code, and all its parameters.

    The parameters of a frozen dataclass are its fields, of a partial its arguments, of a method those of its object, of a
    function its defaults and what it closes over. Raises BadInput for parameters that can't be seen, or are no plain values.
    """
    if isinstance(rule, functools.partial):
        return ["partial", rule_fields(rule.func), _plain(rule.args), _plain(rule.keywords)]
    if inspect.ismethod(rule):
        return [rule.__qualname__, _plain(rule.__self__)]
    if inspect.isfunction(rule):
        closed = dict(zip(rule.__code__.co_freevars, [cell.cell_contents for cell in rule.__closure__ or ()], strict=True))
        given = [rule.__defaults__, rule.__kwdefaults__, closed]
        return [rule.__qualname__, *([_plain(each) for each in given] if any(given) else [])]
    if is_dataclass(rule) and type(rule).__hash__ is not None:  # a frozen one
        return [type(rule).__qualname__, {field.name: _plain(getattr(rule, field.name)) for field in fields(rule)}]
    if inspect.isbuiltin(rule) or inspect.isclass(rule):
        return [rule.__qualname__]
    raise BadInput(f"the parameters of {type(rule).__qualname__} can't be seen; make it a frozen dataclass", where="rule")


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if callable(value):
        return rule_fields(value)
    raise BadInput(f"{value!r} is no plain value; a rule's parameters are numbers, texts, lists of them, or rules", where="rule")
