"""Outthink: inference-time scaling. A small model outthinks a big one, and you know what each extra token buys.

Loads nothing heavy: names are looked up on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outthink.api import evaluate as evaluate
    from outthink.api import evaluate_async as evaluate_async
    from outthink.api import solve as solve
    from outthink.api import solve_async as solve_async
    from outthink.core.budget import Budget as Budget
    from outthink.core.budget import Prices as Prices
    from outthink.core.budget import Usage as Usage
    from outthink.core.capability import Needs as Needs
    from outthink.core.errors import OutthinkError as OutthinkError
    from outthink.core.problem import Problem as Problem
    from outthink.core.prompt import Prompt as Prompt
    from outthink.core.run import Run as Run
    from outthink.core.sampling import Sampling as Sampling
    from outthink.core.selection import Result as Result
    from outthink.core.selection import Selection as Selection
    from outthink.core.strategy import strategy as strategy
    from outthink.core.task import Answer as Answer
    from outthink.session import Session as Session

_HOMES = {
    "Answer": "outthink.core.task",
    "Budget": "outthink.core.budget",
    "Needs": "outthink.core.capability",
    "OutthinkError": "outthink.core.errors",
    "Prices": "outthink.core.budget",
    "Problem": "outthink.core.problem",
    "Prompt": "outthink.core.prompt",
    "Result": "outthink.core.selection",
    "Run": "outthink.core.run",
    "Sampling": "outthink.core.sampling",
    "Selection": "outthink.core.selection",
    "Session": "outthink.session",
    "Usage": "outthink.core.budget",
    "evaluate": "outthink.api",
    "evaluate_async": "outthink.api",
    "solve": "outthink.api",
    "solve_async": "outthink.api",
    "strategy": "outthink.core.strategy",
}

__all__ = sorted(_HOMES)  # the names above, so that they are written once


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'outthink' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
