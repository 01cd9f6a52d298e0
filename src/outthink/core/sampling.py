"""How a model is sampled, every setting stated.

Servers silently apply defaults of their own (top_k 40, min_p 0.05, ...), so that "temperature 1" is not temperature 1.
A request of ours therefore says each of these, and the defaults here are the neutral ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from outthink.core.errors import BadInput, UnknownName
from outthink.core.plain import PLAIN


class _Rule(NamedTuple):
    """What a setting must be, and both parts of that in words, which make a phrase."""

    kinds: tuple[type, ...]
    kind: str
    fits: Callable[[Any], bool]
    range: str


MOST = 2**31 - 1
"""Largest whole number that servers can hold."""
_NUMBER, _WHOLE = ((int, float), "a number"), ((int,), "a whole number")
_RULES = {
    "temperature": _Rule(*_NUMBER, lambda value: 0 <= value <= 10, "between 0 and 10"),
    "top_p": _Rule(*_NUMBER, lambda value: 0 < value <= 1, "in (0, 1]"),
    "top_k": _Rule(*_WHOLE, lambda value: 0 <= value <= MOST, f"from 0 (off) to {MOST}"),
    "min_p": _Rule(*_NUMBER, lambda value: 0 <= value < 1, "in [0, 1)"),
    "max_tokens": _Rule(*_WHOLE, lambda value: 1 <= value <= MOST, f"from 1 to {MOST}"),
    "stop": _Rule(
        (tuple,),
        "a tuple",
        lambda value: all(isinstance(text, str) and text for text in value),
        "of strings that are not empty",
    ),
    "presence_penalty": _Rule(*_NUMBER, lambda value: -2 <= value <= 2, "between -2 and 2"),
    "frequency_penalty": _Rule(*_NUMBER, lambda value: -2 <= value <= 2, "between -2 and 2"),
    "repeat_penalty": _Rule(*_NUMBER, lambda value: 0 < value < math.inf, "above 0"),
}
"""Of every setting, in order."""
MOST_KEPT = 64
"""Variants of one `Sampling` that it keeps."""


def must_be(name: str, value: object) -> str:
    """What a setting must be, in words, where this value isn't it; "" where it is."""
    kinds, kind, fits, allowed = _RULES[name]
    right = isinstance(value, kinds) and not isinstance(value, bool) and fits(value)
    return "" if right else f"{kind} {allowed}"


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters of one sample.

    temperature: 0 is greedy; 1 is the model's own distribution
    top_p:       in (0, 1]; 1 is off
    top_k:       0 is off
    min_p:       in [0, 1); 0 is off
    max_tokens:  most completion tokens of one sample; at least 1
    stop:        strings that end a sample; they are not part of its text
    presence_penalty, frequency_penalty: 0 is off;  repeat_penalty: 1 is off

    Raises BadInput for values out of range.
    """

    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repeat_penalty: float = 1.0
    _changed: dict[str, Sampling] = field(default_factory=dict, init=False, repr=False, compare=False)
    _plain: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in _RULES:
            value = getattr(self, name)
            if not_so := must_be(name, value):
                raise BadInput(f"{name} is {value!r} and must be {not_so}", where="sampling")

    def but(self, **changes: Any) -> Sampling:
        """The same with some settings changed; None leaves a setting as it is. Raises UnknownName, BadInput.

        `stop` may come as JSON and TOML write it: a list, or a single text.
        Strategies ask for the same few changes again and again: those are kept.
        """
        if not changes:
            return self
        asked = str(changes)
        if asked not in self._changed:
            if len(self._changed) == MOST_KEPT:
                self._changed.clear()
            self._changed[asked] = self._with(changes)
        return self._changed[asked]

    def _with(self, changes: Mapping[str, Any]) -> Sampling:
        settings = {name: getattr(self, name) for name in _RULES}
        for name, value in changes.items():
            if name not in settings:
                raise UnknownName("sampling setting", name, list(settings))
            if value is not None:
                settings[name] = value
        if isinstance(stop := settings["stop"], str | list):
            settings["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
        return Sampling(**settings)

    def fields(self) -> dict[str, Any]:
        """Plain JSON, the same for equal settings: what fingerprints are made of."""
        return {name: getattr(self, name) for name in _RULES} | {"stop": list(self.stop)}

    def plain(self) -> str:
        """`fields` as text."""
        if not self._plain:
            self._plain.append(PLAIN.encode(self.fields()))
        return self._plain[0]
