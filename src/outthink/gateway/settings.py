"""How a request's fields become sampling settings and further fields that the model's server gets as they are.

What the client states is stated; what it leaves open is, for a single sample, left to the server, as if no gateway were there.
Strategies that draw several samples state Outthink's defaults instead, because they depend on samples that differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outthink.core.sampling import Sampling, must_be
from outthink.gateway.body import Fields
from outthink.gateway.refusal import Refusal

_NUMBERS = ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty")
_WIRE = {name: (name,) for name in (*_NUMBERS, "top_k")} | {"repeat_penalty": ("repetition_penalty", "repeat_penalty")}
_WIRE["max_tokens"] = ("max_tokens", "max_completion_tokens")
_GIVEN = _WIRE | {"stop": ("stop",)}
_TOKENS = ("tokens", "completion_tokens", "prompt_tokens", "usd")
MOST = (1 << 31) - 1
"""Largest whole number that servers can hold."""
LEFT_OPEN_TEMPERATURE = 1.0
"""Of a single sample whose server must be told one (the embedded model): OpenAI's default."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the samples, and wire names of those that are left to the server."""

    sampling: Sampling
    left_open: tuple[str, ...]


def settings_of(fields: Fields, model_settings: Mapping[str, Any], *, single: bool, bounded: bool, max_tokens: int) -> Settings:
    """Take sampling settings out of the fields.

    single:     one sample is drawn, and nothing is voted on
    bounded:    a budget counts tokens, so each sample needs a limit of its own
    max_tokens: that limit where the client gives none

    Raises Refusal.
    """
    given: dict[str, Any] = {name: value for name in _NUMBERS if (value := _number(fields, name, name)) is not None}
    if (top_k := fields.whole("top_k", -1, MOST)) is not None:
        given["top_k"] = max(0, top_k)
    penalties = [_number(fields, name, "repeat_penalty") for name in _WIRE["repeat_penalty"]]
    if found := [each for each in penalties if each is not None]:
        given["repeat_penalty"] = found[0]
    limits = [fields.whole(name, 1, MOST) for name in _WIRE["max_tokens"]]
    if wanted := [each for each in limits if each is not None]:
        given["max_tokens"] = wanted[-1]
    if (stop := _stops(fields)) is not None:
        given["stop"] = stop
    base = {"max_tokens": max_tokens} | ({"temperature": LEFT_OPEN_TEMPERATURE} if single else {})
    stated = {**model_settings, **given}
    sampling = Sampling().but(**{**base, **stated})
    open_names = [name for name in _WIRE if name not in stated and (single or name == "max_tokens")]
    if bounded and "max_tokens" in open_names:
        open_names.remove("max_tokens")
    return Settings(sampling, tuple(wire for name in open_names for wire in _WIRE[name]))


def _number(fields: Fields, name: str, setting: str) -> float | None:
    """The number that a field gives for a setting. Raises Refusal."""
    value: float | None = fields.take(name)
    if value is not None and (not_so := must_be(setting, value)):
        raise fields.refuse(name, not_so)
    return value


def named_by(fields: Fields) -> dict[str, str]:
    """The client's own field of each setting that it gave."""
    return {name: wire for name, wires in _GIVEN.items() for wire in wires if wire in fields.given}


def left_open(extra: Mapping[str, Any]) -> list[str]:
    """Settings that a request left to the server, out of its further fields: none of their names there holds a value."""
    return [name for name, wires in _WIRE.items() if any(wire in extra for wire in wires) and not any(map(extra.get, wires))]


def _stops(fields: Fields) -> tuple[str, ...] | None:
    stop = fields.take("stop")
    if stop is None:
        return None
    listed = [stop] if isinstance(stop, str) else stop
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed) or len(listed) > 64:
        raise Refusal(400, "stop must be a text or a list of up to 64 texts", code="invalid_value", param="stop")
    return tuple(each for each in listed if each)


def counts_tokens(limits: Mapping[str, float]) -> bool:
    """Whether a budget needs to know how many tokens a sample may take."""
    return any(name in limits for name in _TOKENS)
