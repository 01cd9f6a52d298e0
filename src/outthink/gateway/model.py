"""A public model: the name that clients use, and what answers for it. How it is configured is `config`'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outthink.core.budget import Budget
from outthink.runtime.endpoint import Endpoint

AT_ONCE = 256
"""Calls at a server with which the search for what it takes begins: a request must not wait for a search that began with few."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a public name stands for. Its endpoints are open, and whoever opened them closes them.

    endpoints:  generating roles: "generator", "judge", and perhaps others
    aliases:    further names that clients may use
    strategy:   its default choice, such as "single" or "majority:8"
    budget:     the most that one request may spend
    task:       the task that tells answers apart; "" is the conversation's own rule
    verifier:   what scores samples where a strategy needs it; "" is none
    verifiers:  settings of verifiers by name, whoever chose them
    sampling:   settings that a request may override
    others:     objects that play further roles
    max_tokens: completion tokens of one sample where the client doesn't say and a budget needs a number
    created:    seconds since 1970, for /v1/models
    """

    name: str
    endpoints: Mapping[str, Endpoint]
    aliases: tuple[str, ...] = ()
    strategy: str = "single"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    task: str = ""
    verifier: str = ""
    verifiers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    max_tokens: int = 8192
    created: int = 0

    @property
    def generator(self) -> Endpoint:
        """Who generates."""
        return self.endpoints["generator"]
