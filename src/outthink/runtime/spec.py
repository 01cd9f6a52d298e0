"""One run as plain data (`RunSpec`), and what its roles are bound to (`Bindings`).

A spec, never a coroutine, is what crosses processes and machines.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from outthink.core.budget import Budget
from outthink.core.capability import Needs, Roles, needs_of
from outthink.core.errors import BadInput, MissingRole, OracleRefused, Unsupported
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.sampling import Sampling
from outthink.core.step import Steps
from outthink.core.strategy import Strategy
from outthink.core.task import Task
from outthink.core.verifier import Verifier
from outthink.runtime.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One strategy on one problem under one budget.

    name:       unique in its journal; seeds follow from it
    ordinal:    its place among its siblings: older runs go first where they compete
    parameters: the strategy's
    """

    name: str
    strategy: str
    problem: Problem
    budget: Budget = field(default_factory=Budget)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Bindings:
    """What the roles of a run are bound to.

    task:      prompts, answers, grades
    endpoints: generating roles by name; "generator" is always there
    verifiers: scoring roles by name
    others:    roles that are only invoked: objects whose async methods take and return JSON
    sampling:  the user's settings per generating role; the task's own fill the gaps
    steps:     the user's own step rule; None: the task's
    logprobs:  what to record with each sample of the generator, beyond what verifiers need
    oracle:    gold answers may be used: to grade results, and by oracle verifiers
    """

    task: Task
    endpoints: Mapping[str, Endpoint]
    verifiers: Mapping[str, Verifier] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Sampling] = field(default_factory=dict)
    steps: Steps | None = None
    logprobs: LogprobNeed | None = None
    oracle: bool = False

    def endpoint(self, role: str, who: str) -> Endpoint:
        """The endpoint of a generating role. Raises MissingRole."""
        if role not in self.endpoints:
            raise MissingRole(who, role)
        return self.endpoints[role]

    def verifier(self, role: str, who: str) -> Verifier:
        """The verifier of a scoring role. Raises MissingRole."""
        if role not in self.verifiers:
            raise MissingRole(who, role)
        return self.verifiers[role]

    def step_rule(self) -> Steps:
        """Where the steps of an answer end."""
        return self.steps or getattr(self.task, "steps", None) or Steps()

    def logprob_need(self) -> LogprobNeed | None:
        """What the generator's samples must carry for the bound verifiers and the user."""
        need = self.logprobs
        for verifier in self.verifiers.values():
            if verifier.logprobs is not None:
                need = verifier.logprobs.joined(need)
        return need

    def check(self, strategy: Strategy, budget: Budget, parameters: Mapping[str, Any]) -> None:
        """Refuse a wrong combination before anything is spent.

        Raises MissingRole, Unsupported, OracleRefused, BadInput, and UnknownName for a parameter that the strategy hasn't.
        """
        who = f"strategy {strategy.name}"
        self._able("generator", strategy.needs, who)
        self._play(strategy.asks(parameters), who)
        if Needs.SCORES in strategy.needs:
            self.verifier("verifier", who)
        generator = self.endpoint("generator", who).backend
        can, name = generator.capabilities, generator.name
        for verifier in self.verifiers.values():
            self._play(verifier.roles, f"verifier {verifier.name}")
            can.require_logprobs(verifier.logprobs, f"verifier {verifier.name}", name)
            if getattr(verifier, "needs_value", False) and not callable(getattr(self.task, "value", None)):
                raise Unsupported(
                    f"verifier {verifier.name} asks the task whether an answer so far can still become right, and task "
                    f"{self.task.name} can't say; `countdown` can, or a task of your own with `value(problem, text)`"
                )
            if verifier.oracle and not self.oracle:
                raise OracleRefused(
                    f"verifier {verifier.name} looks at the gold answer, which a user doesn't have; "
                    "it is for `eval` only, where its rows are labelled as an oracle"
                )
        can.require_logprobs(self.logprobs, "recording", name)
        if budget.usd is not None:
            for role, endpoint in self.endpoints.items():
                if endpoint.prices is None:
                    message = f"{budget} needs prices, and none are known for the {role} {endpoint.backend.name}"
                    raise BadInput(message, where="budget")
        if budget.empty:
            raise BadInput(f"{budget} admits nothing at all", where="budget")

    def _play(self, roles: Roles, who: str) -> None:
        """Raise unless every role is bound to what can play it."""
        for role in sorted(roles):
            needs = needs_of(roles, role)
            if needs or role in self.endpoints:
                self._able(role, needs, who)
            elif role not in self.verifiers and role not in self.others:
                raise MissingRole(who, role)

    def _able(self, role: str, needs: Collection[Needs | LogprobNeed], who: str) -> None:
        backend = self.endpoint(role, who).backend
        as_whom = who if role == "generator" else f"{who}, of its {role},"
        backend.capabilities.require(needs, as_whom, backend.name)
