"""Rules are told apart by their code and by every parameter."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from outthink.core.errors import BadInput
from outthink.core.key import Key
from outthink.core.operation import Generate, Partial, Start
from outthink.core.prompt import Prompt
from outthink.core.rule import rule_fields
from outthink.core.sampling import Sampling


@dataclass(frozen=True)
class Longer:
    tokens: int
    unless: Callable[[Partial], bool] | None = None

    def __call__(self, partial: Partial) -> bool:
        return partial.tokens > self.tokens


def longer(partial: Partial, tokens: int = 3) -> bool:
    return partial.tokens > tokens


def closed(tokens: object) -> Any:
    return lambda partial: partial.tokens > tokens


class Opaque:
    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def __call__(self, partial: Partial) -> bool:
        return partial.tokens > self.tokens


RULES: list[Callable[[], Any]] = [
    lambda: Longer(3),
    lambda: Longer(4),
    lambda: Longer(3, Longer(3)),
    lambda: Longer(3, longer),
    lambda: Longer(3).__call__,
    lambda: longer,
    lambda: functools.partial(longer, tokens=4),
    lambda: functools.partial(longer, tokens=5),
    lambda: closed(3),
    lambda: closed(4),
    lambda: closed((4, {"a": longer})),
    lambda: bool,
]


def digest(rule: Any) -> str:
    generate = Generate(Key("r"), (Prompt.chat("p"),), 1, Sampling())
    return Start(generate.key, generate, None, rule).digest()


def test_equal_rules_have_equal_digests_and_others_others() -> None:
    assert [digest(rule()) for rule in RULES] == [digest(rule()) for rule in RULES]
    assert len({digest(rule()) for rule in [*RULES, lambda: None]}) == len(RULES) + 1


@pytest.mark.parametrize("rule", [Opaque(3), closed(Opaque(3)), closed(object()), functools.partial(longer, tokens=object())])
def test_parameters_that_cannot_be_seen_are_refused(rule: Any) -> None:
    with pytest.raises(BadInput, match=r"frozen dataclass|plain value"):
        rule_fields(rule)
