"""Running a strategy that a test writes itself, on a simulated model in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from outthink.core.budget import Budget
from outthink.core.selection import Result, Selection
from outthink.core.strategy import Strategy
from outthink.runtime.clock import run_virtually
from outthink.session import Session
from outthink.testing.simulated import Pace, SimulatedBackend
from outthink.testing.worlds import Odds, World

WORLD = World({f"p{i}": Odds("a", {"a": 0.5, "b": 0.3}) for i in range(8)})
PROBLEM = WORLD.problems[0]


def written(body: Callable[..., Any], name: str = "tested") -> Strategy:
    return Strategy(name, body, "", "", frozenset(), frozenset(), False)


def backend(**settings: Any) -> SimulatedBackend:
    return SimulatedBackend(WORLD, **{"pace": Pace(spread=0.5), **settings})


def run(
    body: Callable[..., Any],
    budget: Budget | str | int | None = None,
    *,
    model: Any = None,
    around: Callable[[Session], Awaitable[Result]] | None = None,
    max_tokens: int = 40,
    journal: Path | None = None,
    parameters: dict[str, Any] | None = None,
    session_budget: str | None = None,
    **session: Any,
) -> Result:
    """One run of a strategy body; `around` replaces the call of `solve`."""

    async def main() -> Result:
        settings: dict[str, Any] = {"task": WORLD.task, "sampling": {"max_tokens": max_tokens}, "journal": journal}
        settings |= {"concurrency": 16, "budget": session_budget, **session}
        async with Session(model if model is not None else backend(), **settings) as opened:
            if around is not None:
                return await around(opened)
            return await opened.solve(PROBLEM, written(body), budget, **(parameters or {}))

    return run_virtually(main())


def chosen(value: object = None) -> Selection:
    return Selection(None if value is None else str(value))
