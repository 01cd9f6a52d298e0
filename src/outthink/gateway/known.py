"""Strategies and verifiers by name, as `outthink.catalogue` has them, but remembered: to search the installed packages takes
milliseconds, for each request.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

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


def verifier(name: str, settings: Mapping[str, Mapping[str, Any]]) -> Verifier:
    """The verifier of that name with its settings. Raises UnknownName, BadInput.

    Read and checked once, but each time another: what it learns of the model that it asks is one request's alone.
    """
    return copy.copy(_verifier(name, json.dumps(settings_of(name, settings), sort_keys=True, default=str)))


def settings_of(name: str, settings: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """A verifier's own settings, out of those by name."""
    plain = name.strip().replace("-", "_")
    return next((own for other, own in settings.items() if other.strip().replace("-", "_") == plain), {})


@lru_cache(maxsize=1024)
def _verifier(name: str, settings: str) -> Verifier:
    return catalogue.verifier(name, **json.loads(settings))
