"""What a strategy is: an async function, its reference, and what it needs. `outthink.catalogue` finds them by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from outthink.core.capability import Needs, Roles
from outthink.core.errors import BadInput, UnknownName, shortly
from outthink.core.given import parameters_of
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection

Body = Callable[..., Coroutine[Any, Any, Selection]]

_COUNTS = {"n": "a whole number, 1 or more, or None to fill the budget", "quorum": "a whole number, 1 or more"}
"""Parameters that mean the same wherever they occur, and what they must be."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """One published inference-time scaling algorithm.

    name:  as the file that holds it
    body:  `async def body(run, problem, **parameters) -> Selection`, which awaits nothing but operations
    paper: its reference ("arXiv:2203.11171"), or "" for a baseline without one
    title: the paper's title
    needs: what it needs beyond sampling text
    roles: roles it uses beyond the generator (and, with Needs.SCORES, the verifier), and what they must be able to do (see
           `Roles`); where parameters choose them, a function of all parameters
    races: its result depends on which sample ends first
    curve: what it offers on the way is what it would have answered with so much less. False: it chooses once among all
           samples, so that each budget needs a run of its own
    """

    name: str
    body: Body
    paper: str
    title: str
    needs: frozenset[Needs]
    roles: Roles | Callable[[Mapping[str, Any]], Roles]
    races: bool
    curve: bool = True

    @property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (inspect.getdoc(self.body) or "").partition("\n")[0]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its parameters and their defaults, in order."""
        return {name: each.default for name, each in parameters_of(self.body, 2).items()}

    def bound(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with `given` in place. Raises UnknownName for an unknown name, BadInput for a wrong kind of value."""
        known = parameters_of(self.body, 2)
        for name, value in given.items():
            if name not in known:
                raise UnknownName(f"parameter of {self.name}", name, known)
            if name in _COUNTS and value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise BadInput(f"{shortly(value)} must be {_COUNTS[name]}", where=f"{self.name}.{name}")
            known[name].check(value, f"{self.name}.{name}")
        # What comes from JSON has no tuples.
        bound = {**self.parameters, **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}}
        if (missing := next((name for name, value in bound.items() if value is inspect.Parameter.empty), None)) is not None:
            raise BadInput(f"has no default; give it ({missing}=... among the parameters)", where=f"{self.name}.{missing}")
        n, quorum = bound.get("n"), bound.get("quorum")
        if n is not None and quorum is not None and quorum > n:
            raise BadInput(f"{quorum} samples must survive, and n={n} are asked for", where=f"{self.name}.quorum")
        return bound

    def asks(self, given: Mapping[str, Any]) -> Roles:
        """The roles that a run with these parameters uses."""
        return self.roles(self.bound(given)) if callable(self.roles) else self.roles

    def start(self, run: Run, problem: Problem, given: Mapping[str, Any]) -> Coroutine[Any, Any, Selection]:
        """The coroutine of one run."""
        return self.body(run, problem, **self.bound(given))


def strategy(
    name: str,
    *,
    paper: str = "",
    title: str = "",
    needs: frozenset[Needs] | set[Needs] = frozenset(),
    roles: Roles | Callable[[Mapping[str, Any]], Roles] = frozenset(),
    races: bool = False,
    curve: bool = True,
) -> Callable[[Body], Strategy]:
    """Make a strategy from an async function; see `Strategy` for the arguments. Raises BadInput where it can't be one."""
    if not isinstance(name, str):
        raise BadInput('write @strategy("name"): it needs a name', where="@strategy")

    def made(body: Body) -> Strategy:
        if not inspect.iscoroutinefunction(body) or not inspect.getdoc(body):
            raise BadInput("it must be an async function with a docstring", where=f"strategy {name}")
        return Strategy(name, body, paper, title, frozenset(needs), roles, races, curve)

    return made
