"""What may be spent (`Budget`), what was spent (`Usage`) and what it costs (`Prices`). Who may spend when is the ledger's.

One syntax everywhere: "16 samples", "20k tokens", "30s", "$0.10", joined by commas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, Self

from outthink.core.errors import BadInput, shortly

DIMENSIONS = ("samples", "completion_tokens", "prompt_tokens", "tokens", "calls", "seconds", "usd")
"""Everything that a budget can bound; `tokens` is prompt plus completion tokens."""
MOST = 10**30
"""Largest limit. It comes from clients too, and Python refuses to write numbers of thousands of digits."""

_UNITS = {
    "sample": "samples", "samples": "samples", "call": "calls", "calls": "calls",
    "token": "tokens", "tokens": "tokens", "total tokens": "tokens",
    "completion token": "completion_tokens", "completion tokens": "completion_tokens",
    "prompt token": "prompt_tokens", "prompt tokens": "prompt_tokens",
    "s": "seconds", "second": "seconds", "seconds": "seconds", "m": "minutes", "min": "minutes", "minutes": "minutes",
    "h": "hours", "hours": "hours", "usd": "usd",
}  # fmt: skip
_IN_SECONDS = {"minutes": 60, "hours": 3600}
_TERM = re.compile(r"(\$)?\s*([0-9][0-9_]*(?:\.[0-9]+)?|\.[0-9]+)\s*([kKM](?![a-zA-Z]))?\s*([a-zA-Z][a-zA-Z_ ]*)?\s*$")


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be spent in each dimension; None is no limit. Raises BadInput for negative or odd numbers."""

    samples: int | None = None
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    tokens: int | None = None
    calls: int | None = None
    seconds: float | None = None
    usd: float | None = None

    def __post_init__(self) -> None:
        for name, limit in self.limits().items():
            number = isinstance(limit, (int, float)) and not isinstance(limit, bool)
            if not number or not 0 <= limit <= MOST or not (name in ("seconds", "usd") or limit == int(limit)):
                kind = "" if name in ("seconds", "usd") else "whole "
                shown = "too large" if isinstance(limit, int) and limit > MOST else repr(limit)
                raise BadInput(f"{name} is {shown} and must be a finite {kind}number, 0 or more", where="budget")

    def limits(self) -> dict[str, float]:
        """The bounded dimensions, by name."""
        return {name: value for name in DIMENSIONS if (value := getattr(self, name)) is not None}

    @property
    def empty(self) -> bool:
        """Whether it admits nothing at all: one of its limits is 0."""
        return 0 in self.limits().values()

    @classmethod
    def parse(cls, text: str) -> Self:
        """A budget from "16 samples, 20k tokens, 30s, $0.10". Raises BadInput naming the part that isn't understood."""
        limits: dict[str, float] = {}
        for part in text.split(","):
            if not part.strip():
                raise BadInput(f"{text!r} has an empty part", where="budget")
            match = _TERM.match(part.strip())
            unit = _unit(match)
            if match is None or unit is None:
                raise BadInput(
                    f"{part.strip()!r} is not understood; write for example '16 samples', '20k tokens', '30s' or '$0.10'",
                    where="budget",
                )
            # Decimal: 1.001k is 1001, which it isn't in binary floating point.
            amount = Decimal(match[2]) * {"k": 1000, "K": 1000, "M": 1000_000}.get(match[3] or "", 1) * _IN_SECONDS.get(unit, 1)
            name = "seconds" if unit in _IN_SECONDS else unit
            if name in limits:
                raise BadInput(f"{text!r} bounds {name} twice", where="budget")
            if name not in ("seconds", "usd") and amount != int(amount):
                raise BadInput(f"{part.strip()!r} is not a whole number of {name}", where="budget")
            limits[name] = float(amount) if name in ("seconds", "usd") else int(amount)
        return cls(**limits)  # type: ignore[arg-type]  # every name is a field; whole numbers were made ints above

    @classmethod
    def of(cls, budget: Budget | str | int | None) -> Budget:
        """A budget from a budget, its text, a number of samples, or None for no limit."""
        if budget is None:
            return Budget()
        if isinstance(budget, Budget):
            return budget
        if isinstance(budget, int) and not isinstance(budget, bool):
            return cls(samples=budget)
        if isinstance(budget, str):
            return cls.parse(budget)
        raise BadInput(f"{budget!r} is no budget; write for example '16 samples, 20k tokens'", where="budget")

    def __str__(self) -> str:
        def term(name: str, limit: float) -> str:
            match name:
                case "usd":
                    return f"${_plain(limit)}"
                case "seconds":
                    return f"{_plain(limit)}s"
                case _:
                    return f"{int(limit)} {name.replace('_', ' ').removesuffix('s' if limit == 1 else '')}"

        return ", ".join(term(name, limit) for name, limit in self.limits().items()) or "no limit"


def _plain(number: float) -> str:
    """All digits and no exponent, so that `parse` reads the same number."""
    return f"{Decimal(repr(float(number))).normalize():f}"


def _unit(match: re.Match[str] | None) -> str | None:
    if match is None:
        return None
    word = " ".join((match[4] or "").replace("_", " ").split()).lower()
    if match[1]:
        return "usd" if not word else None
    return _UNITS.get(word)


class Usage(NamedTuple):  # a tuple, because several are made for every sample
    """What was spent. Counters include everything: failed attempts, verifiers, cancelled and re-sent tokens.

    samples:           samples delivered, whole or partial
    calls:             attempts sent, or tried to be sent, to a backend
    prompt_tokens:     known prompt tokens, cached ones included
    cached_tokens:     prompt tokens that the backend said it didn't compute again; a lower bound: not all backends say
    completion_tokens: known completion tokens, reasoning tokens included
    reasoning_tokens:  completion tokens that the backend said were hidden reasoning; a lower bound too
    unknown_prompt_tokens, unknown_completion_tokens: what may have been spent beyond the known, at most (lost replies)
    usd:               money for the known and the unknown tokens, the most it can be; None where no price is known
    seconds:           time the samples took in the backend, added up: work, not wall time
    """

    samples: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    unknown_prompt_tokens: int = 0
    unknown_completion_tokens: int = 0
    usd: float | None = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Known prompt plus completion tokens."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def most_tokens(self) -> int:
        """The most that can have been spent: known plus unknown tokens."""
        return self.tokens + self.unknown_prompt_tokens + self.unknown_completion_tokens

    def __add__(self, other: Usage) -> Usage:  # type: ignore[override]  # spending adds up, as numbers do
        mine, its = self.usd, other.usd
        return Usage(
            self.samples + other.samples,
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.unknown_prompt_tokens + other.unknown_prompt_tokens,
            self.unknown_completion_tokens + other.unknown_completion_tokens,
            None if mine is None or its is None else mine + its,
            self.seconds + other.seconds,
        )

    def fields(self) -> dict[str, float | None]:
        """Plain JSON by name."""
        return self._asdict()


NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per million tokens, in usd. `cached` is the price of cached prompt tokens (None: the full prompt price).

    Raises BadInput for what is no price.
    """

    prompt: float
    completion: float
    cached: float | None = None

    def __post_init__(self) -> None:
        given = {"prompt": self.prompt, "completion": self.completion}
        for name, value in (given if self.cached is None else {**given, "cached": self.cached}).items():
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= MOST:
                raise BadInput(f"{name} is {shortly(value)} and must be 0 or more usd per million tokens", where="prices")

    def usd(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> float:
        """Money for these tokens; `prompt_tokens` include the cached ones."""
        cached = self.prompt if self.cached is None else self.cached
        fresh = prompt_tokens - cached_tokens
        return (fresh * self.prompt + cached_tokens * cached + completion_tokens * self.completion) / 1e6
