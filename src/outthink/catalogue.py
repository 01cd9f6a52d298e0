"""Strategies and verifiers by name. Tasks are found by `outthink.tasks.load`.

A built-in is found by its file name, without importing the others; another package adds one by an entry point:

    [project.entry-points."outthink.strategies"]
    my_strategy = "my_package.my_module:my_strategy"

    [project.entry-points."outthink.verifiers"]
    my_verifier = "my_package.my_module:MyVerifier"

A name with a colon, `package.module:object`, is imported as it is. Hyphens are as good as underscores.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from outthink import strategies as _strategies
from outthink import verifiers as _verifiers
from outthink.core.errors import BadInput, InternalError, UnknownName
from outthink.core.given import parameters_of
from outthink.core.strategy import Strategy
from outthink.core.verifier import Verifier

_GROUPS = {"strategy": "outthink.strategies", "verifier": "outthink.verifiers"}


def strategies() -> list[str]:
    """Names of all strategies, sorted; nothing is imported."""
    return sorted({*_built_in("strategy"), *_registered("strategy")})


def verifiers() -> list[str]:
    """Names of all verifiers, sorted; nothing is imported."""
    return sorted({*_built_in("verifier"), *_registered("verifier")})


def strategy(name: str | Strategy) -> Strategy:
    """The strategy of that name (a strategy itself is returned as it is). Raises UnknownName; BadInput where it can't be had."""
    if isinstance(name, Strategy):
        return name
    found = _find("strategy", name) if isinstance(name, str) else name
    if not isinstance(found, Strategy):
        raise BadInput(f'it is a {type(found).__name__}, not made by @strategy("name")', where=f"strategy {name}")
    return found


def verifier(name: str | Verifier, /, **parameters: Any) -> Verifier:
    """A new verifier of that name with these parameters of its constructor (a verifier itself is returned as it is).

    Raises UnknownName, also for a parameter; BadInput where it can't be had or a parameter doesn't fit.
    """
    made: object = _find("verifier", name) if isinstance(name, str) else name
    if isinstance(name, str) and callable(made):
        _check(made, parameters, f"verifier {name}")
        try:
            made = made(**parameters)
        except TypeError as error:
            raise BadInput(str(error), where=f"verifier {name}") from error
    elif parameters:
        raise BadInput(f"is made already and takes no settings, such as {next(iter(parameters))}", where=f"verifier {name}")
    if isinstance(made, type) or not isinstance(made, Verifier):
        raise BadInput("a verifier has name, oracle, logprobs, roles and an async method score", where=f"verifier {name}")
    return made


def _check(made_by: Callable[..., Any], given: Mapping[str, Any], where: str) -> None:
    """Raise UnknownName or BadInput for what can't be its parameters, as far as its signature tells."""
    try:
        known, every = parameters_of(made_by), inspect.signature(made_by).parameters.values()
    except (TypeError, ValueError):  # it has none that Python knows
        return
    for name, value in given.items():
        if name in known:
            known[name].check(value, f"{where}: {name}")
        elif all(each.kind is not each.VAR_KEYWORD for each in every):
            raise UnknownName(f"setting of {where}", name, known)


def role(name: str) -> object:
    """What 'package.module:object' names, to play a role that is no model; a class is made without arguments.

    Raises BadInput where it can't be had.
    """
    found = _loaded("role", EntryPoint(name, name, ""))
    if not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as error:  # as for loading
        raise BadInput(f"can't be made: {error}", where=f"role {name}") from error


def _built_in(kind: str) -> dict[str, str]:
    """Module path by name, read off the file names."""
    if kind == "verifier":
        return {name: f"{_verifiers.__name__}.{name}" for name in _modules(_verifiers.__path__)}
    families = [Path(folder) / family for folder in _strategies.__path__ for family in _modules(_strategies.__path__)]
    return {name: f"{_strategies.__name__}.{family.name}.{name}" for family in families for name in _modules([str(family)])}


def _modules(folders: Any) -> Iterator[str]:
    return (module.name for module in pkgutil.iter_modules(folders) if not module.name.startswith("_"))


def _registered(kind: str) -> dict[str, EntryPoint]:
    return {entry.name.replace("-", "_"): entry for entry in entry_points(group=_GROUPS[kind])}


def _find(kind: str, name: str) -> Any:
    if ":" in name:
        return _loaded(kind, EntryPoint(name, name, _GROUPS[kind]))
    plain = name.strip().replace("-", "_")
    built_in, registered = _built_in(kind), _registered(kind)
    if plain in built_in and plain in registered:
        raise BadInput(f"{registered[plain].value} takes the name of a built-in; rename its entry point", where=f"{kind} {plain}")
    if plain in registered:
        return _loaded(kind, registered[plain])
    if plain not in built_in:
        raise UnknownName(kind, name, {*built_in, *registered})
    module = importlib.import_module(built_in[plain])
    found = getattr(module, plain, None) if kind == "strategy" else getattr(module, _camel(plain), None)
    if found is None:
        raise InternalError(f"{module.__name__} holds no {kind} of its name")
    return found


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _loaded(kind: str, entry: EntryPoint) -> Any:
    try:
        return entry.load()
    except Exception as error:  # anything can go wrong in a foreign module; it must not pass for ours
        raise BadInput(f"{entry.value!r} can't be loaded: {error}", where=f"{kind} {entry.name}") from error
