"""How a model is sampled, every setting stated.

Servers silently apply defaults of their own (top_k 40, min_p 0.05, ...), so that "temperature 1" is not temperature 1.
A request of ours therefore says each of these, and the defaults here are the neutral ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

from outthink.core.errors import BadInput, UnknownName


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

    def __post_init__(self) -> None:
        def need(fits: bool, name: str, rule: str) -> None:
            if not fits:
                raise BadInput(f"{name} is {getattr(self, name)!r} and must be {rule}", where="sampling")

        for setting in fields(self):
            value, whole = getattr(self, setting.name), setting.name in ("top_k", "max_tokens")
            kinds = int if whole else tuple if setting.name == "stop" else (int, float)
            kind = "a whole number" if whole else "a tuple of strings" if setting.name == "stop" else "a number"
            need(isinstance(value, kinds) and not isinstance(value, bool), setting.name, kind)
        need(math.isfinite(self.temperature) and 0 <= self.temperature <= 10, "temperature", "between 0 and 10")
        need(0 < self.top_p <= 1, "top_p", "in (0, 1]")
        need(self.top_k >= 0, "top_k", "0 (off) or more")
        need(0 <= self.min_p < 1, "min_p", "in [0, 1)")
        need(self.max_tokens >= 1, "max_tokens", "at least 1")
        strings = all(isinstance(text, str) and text for text in self.stop)
        need(strings, "stop", "a tuple of strings that are not empty")
        need(-2 <= self.presence_penalty <= 2, "presence_penalty", "between -2 and 2")
        need(-2 <= self.frequency_penalty <= 2, "frequency_penalty", "between -2 and 2")
        need(math.isfinite(self.repeat_penalty) and self.repeat_penalty > 0, "repeat_penalty", "above 0")

    def but(self, **changes: Any) -> Sampling:
        """The same with some settings changed; None leaves a setting as it is. Raises UnknownName, BadInput."""
        if not changes:
            return self
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise UnknownName("sampling setting", name, known)
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **given) if given else self

    def fields(self) -> dict[str, Any]:
        """Plain JSON, the same for equal settings: what fingerprints are made of."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"stop": list(self.stop)}
