"""A session: open backends, their limiters, one ledger and one journal, and the runs that share them.

Nothing is global: two sessions know nothing of each other. Turning names into objects is `models`' and `catalogue`'s;
stepping a run is the runtime's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from outthink import catalogue, tasks
from outthink.core.backend import Backend
from outthink.core.budget import Budget, Prices
from outthink.core.errors import BadInput
from outthink.core.given import by_name, instance, whole
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.sampling import Sampling
from outthink.core.selection import Result
from outthink.core.step import Steps
from outthink.core.strategy import Strategy
from outthink.core.task import Task
from outthink.core.verifier import Verifier
from outthink.models import backend_of, is_object
from outthink.runtime.batch import Retry
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.interpreter import Interpreter
from outthink.runtime.journal import Journal
from outthink.runtime.ledger import Ledger, Scope
from outthink.runtime.many import many
from outthink.runtime.roles import require_further
from outthink.runtime.spec import Bindings, RunSpec
from outthink.runtime.used import Asked, require_meant, require_use

DEFAULT_TASK = "math"


class Session:
    """Binds roles and keeps what runs share; an async context manager.

    model:       the generator: 'embedded', a GGUF path, 'URL#name', or a backend
    task:        a task's name, 'package.module:object', or a task
    verifier:    a verifier's name, 'package.module:object', or a verifier; None: none
    roles:       further roles: models for generating ones ({"judge": "http://..."}), objects with async methods for others,
                 or 'package.module:object'. A judge that isn't given is the generator itself
    sampling:    settings of the generator that differ from the task's and the defaults
    steps:       where the steps of an answer end, if not as the task says
    budget:      of everything this session runs
    concurrency: requests at the generator at once; None finds what its server can take
    retry:       how failed attempts are repeated
    prices:      of the generator, in usd per million tokens
    engine, probed: what the generator's server is, or a file that says what it was seen to do; see `models.backend_of`
    logprobs:    what to record with each sample, beyond what strategy and verifier need
    oracle:      gold answers may be looked at: to grade, and by oracle verifiers
    journal:     file of outcomes, or None; `header` fingerprints what they depend on, `notes` are kept beside it
    seed:        of everything

    Raises UnknownName, BadInput, MissingExtra at once; Permanent, Refused, JournalError on entering.
    """

    def __init__(
        self,
        model: str | Path | Backend = "embedded",
        *,
        task: str | Task = DEFAULT_TASK,
        verifier: str | Verifier | None = None,
        roles: Mapping[str, Any] | None = None,
        sampling: Mapping[str, Any] | None = None,
        steps: Steps | None = None,
        budget: Budget | str | int | None = None,
        concurrency: int | None = None,
        retry: Retry | None = None,
        prices: Prices | None = None,
        engine: str = "",
        probed: str | Path | None = None,
        logprobs: LogprobNeed | None = None,
        oracle: bool = False,
        journal: str | Path | None = None,
        header: Mapping[str, Any] | None = None,
        notes: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        if concurrency is not None:
            whole("concurrency", concurrency, 1)
        whole("seed", seed)
        roles, sampling = by_name("roles", roles), by_name("sampling", sampling)
        for role in roles:
            require_further(role, f"roles: {role}")
        for name, value, kind in (
            ("retry", retry, Retry),
            ("prices", prices, Prices),
            ("steps", steps, Steps),
            ("logprobs", logprobs, LogprobNeed),
        ):
            instance(name, value, kind, f"made by {kind.__name__}(...)")
        instance("oracle", oracle, bool, "True or False")
        instance("journal", journal, (str, Path), "a file's name")
        instance("engine", engine, str, "a text")
        instance("probed", probed, (str, Path), "a file's name")
        self.task = tasks.load(task)
        self.seed = seed
        self._ledger = Ledger()
        self._scope = Scope("dataset", Budget.of(budget))
        if self._scope.budget.empty:
            raise BadInput(f"{self._scope.budget} admits nothing at all", where="budget")
        self._journal = Journal(journal)
        self._header, self._notes = dict(by_name("header", header)), dict(by_name("notes", notes))
        generator = Endpoint(
            backend_of(model, prices=prices, engine=engine, probed=probed), self._ledger, concurrency=concurrency, retry=retry
        )
        self._opened: list[Endpoint] = []
        self._asked: Counter[str] = Counter()
        self._endpoints = {"generator": generator}
        self._others: dict[str, Any] = {}
        self._strategies: dict[str, Strategy] = {}
        # One model may play several roles: it is opened once and has one limiter.
        shared: dict[object, Endpoint] = {_identity(model): generator}
        for role, bound in roles.items():
            if isinstance(bound, str) and is_object(bound):
                self._others[role] = catalogue.role(bound)
            elif isinstance(bound, (str, Path, Backend)):
                if (named := _identity(bound)) not in shared:
                    shared[named] = Endpoint(backend_of(bound), self._ledger, retry=retry)
                self._endpoints[role] = shared[named]
            else:
                self._others[role] = bound
        self._given = tuple(roles)
        self._verifier = None if verifier is None else catalogue.verifier(verifier)
        self._endpoints.setdefault("judge", generator)
        settings = Sampling().but(**self.task.sampling)
        self.bindings = Bindings(
            task=self.task,
            endpoints=self._endpoints,
            verifiers={} if self._verifier is None else {"verifier": self._verifier},
            others=self._others,
            sampling={"generator": settings.but(**sampling)},
            steps=steps,
            logprobs=logprobs,
            oracle=oracle,
        )

    @property
    def model(self) -> str:
        """The generator's name; complete after entering."""
        return self._endpoints["generator"].backend.name

    def only_for(self, asked: Asked) -> Self:
        """The same session, which nothing but these strategies will use.

        Raises UnknownName for a role, and BadInput for a verifier, that none of them uses.
        """
        require_use(self._given, self._verifier, asked)
        return self

    async def __aenter__(self) -> Self:
        try:
            for endpoint in dict.fromkeys(self._endpoints.values()):
                self._opened.append(endpoint)
                await endpoint.open()
            self._journal.open({"model": self.model, **self._described(), **self._header}, self._notes)
            if self._scope.bounded:
                # Before any run goes on: what one of them recorded is not there for another to spend.
                self._ledger.charge(self._scope, self._journal.usage())
        except BaseException:
            await self._close()
            raise
        if self._scope.budget.seconds is not None:
            left = self._scope.budget.seconds - self._journal.count_seconds()
            self._scope.deadline = asyncio.get_running_loop().time() + left
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._close()

    async def solve(
        self,
        problem: Problem | str,
        strategy: str | Strategy = "majority",
        budget: Budget | str | int | None = None,
        *,
        name: str = "",
        **parameters: Any,
    ) -> Result:
        """One run. Raises UsageError; what goes wrong in the run itself is in the result's `reason`.

        name: unique in the journal, and what seeds follow from; "" is the problem's id, and for the same problem asked again
              its id with a number, in the order of asking
        """
        found = self._strategy(strategy)
        require_meant(self._given, self._verifier, found, parameters)
        asked = Problem.of(problem)
        self._asked[asked.id] += 1
        again = self._asked[asked.id]
        own = asked.id if again == 1 else f"{asked.id}/{again}"
        spec = RunSpec(name or own, found.name, asked, Budget.of(budget), parameters, self.seed)
        return await self._interpreter(spec, found, keep_samples=True).run()

    def runs(
        self, specs: Iterable[RunSpec], *, strategies: Iterable[Strategy] = (), keep_samples: bool = False
    ) -> AsyncIterator[tuple[RunSpec, Result]]:
        """Carry out many runs at once and yield each with its result as it ends; specs are taken only as fast as they run.

        strategies: those that the specs name and the catalogue doesn't know
        A PoolMiss ends its own run only: the result says so (`missed`).
        Leaving the iteration early cancels what is under way and leaves the journal resumable.
        """
        known = {each.name: each for each in strategies}

        def make(spec: RunSpec) -> Interpreter:
            strategy = known.get(spec.strategy) or self._strategy(spec.strategy)
            return self._interpreter(spec, strategy, keep_samples=keep_samples, misses_fail=True)

        return many(specs, make, self._endpoints["generator"].limiter)

    def _strategy(self, strategy: str | Strategy) -> Strategy:
        """Of that name, looked up once: that searches the installed packages."""
        if not isinstance(strategy, str):
            return catalogue.strategy(strategy)
        if strategy not in self._strategies:
            self._strategies[strategy] = catalogue.strategy(strategy)
        return self._strategies[strategy]

    def _interpreter(self, spec: RunSpec, strategy: Strategy, *, keep_samples: bool, misses_fail: bool = False) -> Interpreter:
        self.bindings.check(strategy, spec.budget, spec.parameters)
        return Interpreter(
            spec,
            strategy,
            self.bindings,
            ledger=self._ledger,
            journal=self._journal,
            around=self._scope,
            keep_samples=keep_samples,
            misses_fail=misses_fail,
        )

    def _described(self) -> dict[str, Any]:
        """What outcomes depend on and this session knows: part of the journal's header."""
        generator = self._endpoints["generator"]
        return {
            "task": self.task.name,
            "seed": self.seed,
            "sampling": {role: settings.fields() for role, settings in self.bindings.sampling.items()},
            "steps": self.bindings.step_rule().fields(),
            "verifiers": {role: verifier.name for role, verifier in self.bindings.verifiers.items()},
            "roles": {role: each.backend.name for role, each in self._endpoints.items() if each is not generator},
            "session_budget": str(self._scope.budget),
        }

    async def _close(self) -> None:
        opened, self._opened = self._opened, []
        async with AsyncExitStack() as stack:  # one that can't be closed keeps no other open
            for endpoint in opened:
                stack.push_async_callback(endpoint.backend.close)
            self._journal.close()


def _identity(model: str | Path | Backend) -> object:
    return id(model) if isinstance(model, Backend) else str(model)
