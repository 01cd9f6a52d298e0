"""What a strategy is: an async function, its reference, and what it needs. `outthink.catalogue` finds them by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from outthink.core.capability import Needs, Roles
from outthink.core.errors import BadInput, UnknownName
from outthink.core.given import fits, in_words
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection

Body = Callable[..., Coroutine[Any, Any, Selection]]

LARGEST = 1_000_000
"""Whole numbers among parameters go up to here (but for n, which the budget cuts): they size what is held in memory."""


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
        return _parameters(self.body)

    def bound(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with `given` in place. Raises UnknownName for an unknown name, BadInput for a wrong kind of value."""
        known = self.parameters
        for name, value in given.items():
            if name not in known:
                raise UnknownName(f"parameter of {self.name}", name, known)
            default, annotation = known[name], _annotations(self.body)[name]
            if name == "n" and value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise BadInput(f"{value!r} must be a whole number, 1 or more, or None to fill the budget", where=f"{self.name}.n")
            if value is not default and not fits(annotation, value):
                raise BadInput(f"{value!r} must be {in_words(annotation)}", where=f"{self.name}.{name}")
            if name != "n" and isinstance(value, int) and value > LARGEST:
                raise BadInput(f"{value} is more than {LARGEST:,}", where=f"{self.name}.{name}")
            kinds = {float: (int, float), tuple: (list, tuple)}.get(type(default), type(default))
            if default is not None and value is not None and not isinstance(value, kinds):
                raise BadInput(f"{value!r} must be of the same kind as its default {default!r}", where=f"{self.name}.{name}")
        # What comes from JSON has no tuples.
        return {**known, **{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}}

    def asks(self, given: Mapping[str, Any]) -> Roles:
        """The roles that a run with these parameters uses."""
        return self.roles(self.bound(given)) if callable(self.roles) else self.roles

    def start(self, run: Run, problem: Problem, given: Mapping[str, Any]) -> Coroutine[Any, Any, Selection]:
        """The coroutine of one run."""
        return self.body(run, problem, **self.bound(given))


@cache
def _parameters(body: Body) -> Mapping[str, Any]:
    found = list(inspect.signature(body).parameters.values())[2:]
    return MappingProxyType({parameter.name: parameter.default for parameter in found})


@cache
def _annotations(body: Body) -> Mapping[str, str]:
    """What each parameter is said to be; "" where nothing is said."""
    found = list(inspect.signature(body).parameters.values())[2:]
    said = {each.name: "" if each.annotation is each.empty else each.annotation for each in found}
    return {name: each if isinstance(each, str) else inspect.formatannotation(each) for name, each in said.items()}


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
