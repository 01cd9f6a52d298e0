"""Strategies and verifiers by name, as `outthink.catalogue` has them, but remembered: to search the installed packages takes
milliseconds, for each request.
"""

from __future__ import annotations

from functools import cache, lru_cache

from outthink import catalogue
from outthink.core.errors import UnknownName
from outthink.core.strategy import Strategy
from outthink.core.verifier import Verifier


@cache
def strategies() -> tuple[str, ...]:
    """Names of all strategies."""
    return tuple(catalogue.strategies())


@cache
def verifiers() -> tuple[str, ...]:
    """Names of all verifiers."""
    return tuple(catalogue.verifiers())


def strategy(name: str) -> Strategy:
    """The strategy of that name; clients name it, so nothing else is imported. Raises UnknownName."""
    plain = name.strip().replace("-", "_")
    if plain not in strategies():
        raise UnknownName("strategy", name, strategies())
    return _strategy(plain)


@lru_cache(maxsize=1024)
def _strategy(name: str) -> Strategy:
    return catalogue.strategy(name)


@lru_cache(maxsize=1024)
def verifier(name: str) -> Verifier:
    """The verifier of that name, made once: it remembers nothing itself. Raises UnknownName, BadInput."""
    return catalogue.verifier(name)
