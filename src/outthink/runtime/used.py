"""What a user binds and nothing uses: it was mistyped, or meant for another strategy, and is refused before anything is spent.

A session that lives on may have a later use for it, and so may a gateway, whose models serve many strategies: who knows all the
runs there will be asks here. Whether what is used can do what it must is `spec`'s.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from outthink.core.capability import Needs
from outthink.core.errors import BadInput, UnknownName
from outthink.core.strategy import Strategy
from outthink.core.verifier import Verifier

Asked = Sequence[tuple[Strategy, Mapping[str, Any]]]
"""Strategies with their parameters."""


def scored(asked: Asked) -> bool:
    """Whether any of these strategies has samples scored."""
    return any(Needs.SCORES in strategy.needs for strategy, _ in asked)


def roles_of(asked: Asked, verifier: Verifier | None) -> set[str]:
    """The roles beyond the generator that these strategies use, or the verifier where any of them has samples scored."""
    used = {role for strategy, parameters in asked for role in strategy.asks(parameters)}
    return {*used, *(verifier.roles if verifier is not None and scored(asked) else ())} - {"generator"}


def require_use(roles: Collection[str], verifier: Verifier | None, asked: Asked) -> None:
    """Raise UnknownName for a role, and BadInput for a verifier, that none of these strategies uses."""
    who = " and ".join(dict.fromkeys(strategy.name for strategy, _ in asked))
    if verifier is not None and not scored(asked):
        raise BadInput(
            f"{verifier.name} would never be asked: no samples are scored by {who}; leave it out, or take a strategy that "
            "scores, such as best_of_n",
            where="verifier",
        )
    if verifier is None and scored(asked):
        return  # it is missing: the check of each run says so, and a role may be its own
    known = roles_of(asked, verifier)
    by = f" by verifier {verifier.name}" if verifier is not None else ""
    for role in roles:
        if role not in known:
            raise UnknownName(f"role used by {who}{' or' + by if by else ''}", role, known)


def require_meant(roles: Collection[str], verifier: Verifier | None, strategy: Strategy, parameters: Mapping[str, Any]) -> None:
    """Raise UnknownName for a role that this run doesn't use and whose name is nearly that of one it uses and isn't given."""
    used = roles_of([(strategy, parameters)], verifier)
    for role in set(roles) - used:
        if difflib.get_close_matches(role, used - set(roles)):
            raise UnknownName(f"role used by {strategy.name}", role, used)
