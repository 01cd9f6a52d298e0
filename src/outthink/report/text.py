"""How numbers and foreign text are shown, the same in tables, plots and pages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from outthink.evaluation.rows import Row

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def visible(text: str, most: int | None = None) -> str:
    """Text of a model or user with control, direction and broken characters shown instead of obeyed.

    most: cut after so many characters, and say so
    """
    left = "" if most is None or len(text) <= most else f" … ({len(text) - most} more characters)"
    return _UNSAFE.sub(_shown, text.replace("\r\n", "\n")[:most]) + left


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"


def percent(share: float | None) -> str:
    """0.4731 as "47.3%"."""
    return "" if share is None else f"{100 * share:.1f}%"


def span(low: float | None, high: float | None, digits: int = 1) -> str:
    """An interval of shares as "40.1–54.6"."""
    return "" if low is None or high is None else f"{100 * low:.{digits}f}–{100 * high:.{digits}f}"


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, with its sign."""
    return "" if difference is None else _signed(100 * difference)


def points_span(low: float | None, high: float | None, digits: int = 1) -> str:
    """An interval of differences as "−1.0…+5.2"."""
    return "" if low is None or high is None else f"{_signed(100 * low, digits)}…{_signed(100 * high, digits)}"


def number(value: float | None) -> str:
    """A count or mean without digits that nobody reads: 0.43, 7.2, 812, 20 300, 1.2M; "?" for unknown."""
    if value is None:
        return "?"
    if value >= 999_500:
        return f"{value / 1e6:.3g}M"
    if value >= 99.95:
        return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.3g}" if value < 1 else f"{value:.1f}".removesuffix(".0")


def tokens(row: Row) -> str:
    """Known tokens per problem: "?" where most are unknown, a plus sign where some are."""
    if row.unknown_tokens == 0:
        return number(row.tokens)
    return number(row.tokens) + "+" if row.completion_tokens else "?"


def standing(row: Row) -> str:
    """Whether a row is on the Pareto front: a full dot, an empty one where that is within chance, else nothing."""
    return "●" if row.front else "○" if row.perhaps else ""


def front_legend(rows: Sequence[Row]) -> str:
    """What the dots mean."""
    unit = "tokens" if all(row.completion_tokens for row in rows) else "samples"
    maybe = "; ○ within chance of that" if any(row.perhaps for row in rows) else ""
    return f"front: ● no row does better for as many {unit}{maybe}"


def _signed(value: float, digits: int = 1) -> str:
    text = f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")
    return text if text[1:].strip("0.") else text[1:]
