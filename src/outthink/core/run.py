"""What a strategy sees of the world: methods that build operations and await them, and nothing that does I/O.

A `Run` counts its operations, so that keys follow from the strategy's own program order. Children (`all`, `first`) get runs
of their own; their operations become `Start`, and one `Next` waits for all of them, so the interpreter always faces a single
coroutine with a single operation outstanding.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from outthink.core.budget import Budget, Usage
from outthink.core.errors import BadInput
from outthink.core.key import Key, rng_of
from outthink.core.logprobs import LogprobNeed
from outthink.core.operation import Cancel, Event, Generate, Handle, Invoke, Next, Partial, Score, Start
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.sample import Sample, Samples
from outthink.core.sampling import Sampling
from outthink.core.selection import Selection
from outthink.core.step import Steps
from outthink.core.task import Answer

T = TypeVar("T")


class Host(Protocol):
    """What a run may ask its interpreter without awaiting."""

    name: str
    seed: int
    logprobs: LogprobNeed | None
    scoring_calls: bool

    @property
    def books(self) -> Books: ...
    def prompt(self, problem: Problem) -> Prompt: ...
    def sampling(self, role: str) -> Sampling: ...
    def thinking(self, role: str) -> tuple[str, str] | None: ...
    def memory(self, path: tuple[int, ...], name: str) -> dict[str, float | None]: ...
    @property
    def steps(self) -> Steps: ...


class Books(Protocol):
    """The books as of the last outcome delivered, by the path of a child run."""

    def left(self, path: tuple[int, ...]) -> Budget: ...
    def spent(self, path: tuple[int, ...]) -> Usage: ...
    def open_scope(self, path: tuple[int, ...], budget: Budget) -> None: ...
    def offer(self, path: tuple[int, ...], selection: Selection, spent: Usage | None) -> None: ...


MOST_AT_ONCE = 100_000
"""Most samples of one operation, but for those that fill a budget: something of each is held in memory."""


class Run:
    """One strategy on one problem under one budget, or a child of such a run."""

    def __init__(self, host: Host, path: tuple[int, ...] = ()) -> None:
        self._host = host
        self.path = path
        self._operations = 0
        self._waits = 0
        self._children = 0
        self._generators = 0
        self._classes: list[str] = []

    # Settings and books

    @property
    def left(self) -> Budget:
        """What may still be spent here, as of the last outcome delivered; None in a dimension is no limit."""
        return self._host.books.left(self.path)

    @property
    def spent(self) -> Usage:
        """What was spent here, as of the last outcome delivered."""
        return self._host.books.spent(self.path)

    @property
    def scoring_calls(self) -> bool:
        """Whether a bound verifier makes model calls of its own, so that who fills a budget must leave room for it."""
        return self._host.scoring_calls

    def rng(self) -> random.Random:
        """A random number generator that depends only on where in the program it was asked for."""
        self._generators += 1
        return rng_of(self._host.seed, Key(self._host.name, self.path, self._generators))

    def prompt(self, problem: Problem) -> Prompt:
        """The task's prompt for a problem."""
        return self._host.prompt(problem)

    def thinking(self, role: str = "generator") -> tuple[str, str] | None:
        """Opening and closing mark of a model's thinking block, where its backend knows them (see `Capabilities.thinking`)."""
        return self._host.thinking(role)

    def sampling(self, role: str = "generator") -> Sampling:
        """The user's settings of a generating role."""
        return self._host.sampling(role)

    @property
    def steps(self) -> Steps:
        """Where the steps of an answer end: the task's rule, unless the user gave another."""
        return self._host.steps

    def memory(self, name: str) -> dict[str, float | None]:
        """What a verifier of this name may remember from one Score of this run to the next, such as scores by text.

        Children have their own, so that what is remembered depends on the program only, and is the same after a resume.
        """
        return self._host.memory(self.path, name)

    def offer(self, selection: Selection, *, spent: Usage | None = None) -> None:
        """Make the run anytime: a budget cut returns the last offer, and all offers together are the run's curve.

        spent: what this answer needed, if less than everything spent so far (a prefix of samples that came together)
        """
        self._host.books.offer(self.path, selection, spent)

    # Operations

    async def generate(
        self,
        problem: Problem | Prompt | Sequence[Prompt],
        n: int | None = 1,
        *,
        quorum: int = 1,
        role: str = "generator",
        logprobs: LogprobNeed | None = None,
        temperatures: Sequence[float | None] = (),
        **sampling: Any,
    ) -> Samples:
        """Sample `n` completions (None fills the budget), in key order; failed ones are listed, not raised.

        problem:  a problem (its task's prompt), a prompt, or one prompt per sample
        temperatures: of the first sample, the second ...; the last goes on for all further ones. None, and (): the user's
        sampling: settings that differ from the user's, such as temperature=1.0 or stop=("\\n",)

        Raises QuorumNotMet, BackendError (Permanent), Unsupported; a budget that admits no sample at all ends the run.
        """
        return await self._generate(problem, n, quorum, role, logprobs, sampling, tuple(temperatures))  # type: ignore[no-any-return]  # an operation awaits to Any

    def _generate(
        self,
        problem: Problem | Prompt | Sequence[Prompt],
        n: int | None,
        quorum: int,
        role: str,
        logprobs: LogprobNeed | None,
        sampling: Mapping[str, Any],
        temperatures: tuple[float | None, ...] = (),
    ) -> Generate:
        if isinstance(problem, Problem):
            prompts: tuple[Prompt, ...] = (self._host.prompt(problem),)
        elif isinstance(problem, Prompt):
            prompts = (problem,)
        else:
            prompts = tuple(problem)
            if n is None or n == 1:
                n = len(prompts)
            if not prompts or (len(prompts) > 1 and n != len(prompts)):
                raise BadInput(f"{len(prompts)} prompts are given for {n} samples", where="generate")
        if n is not None and not 1 <= n <= MOST_AT_ONCE:
            raise BadInput(f"n is {n} and must be from 1 to {MOST_AT_ONCE:,}, or None to fill the budget", where="generate")
        need = self._host.logprobs
        if logprobs is not None:
            need = logprobs.joined(need)
        settings = self._host.sampling(role).but(**sampling)
        for temperature in temperatures:
            settings.but(temperature=temperature)  # refused here, before anything is asked for
        need = need if role == "generator" else logprobs
        return Generate(self.key(), prompts, n, settings, quorum, need, role, temperatures)

    async def extend(self, problem: Problem, samples: Sequence[Sample], *, quorum: int = 1, **sampling: Any) -> Samples:
        """Continue each of these partial samples by one completion (same order); each result's `prefix` is what it continues."""
        start = self._host.prompt(problem)
        return await self.generate([start.continued(sample.whole) for sample in samples], quorum=quorum, **sampling)

    async def score(self, problem: Problem, samples: Sequence[Sample], *, role: str = "verifier") -> list[float | None]:
        """One score per sample from the bound verifier, higher is better; None where it can't say."""
        return await Score(self.key(), problem, tuple(samples), role)  # type: ignore[no-any-return]  # an operation awaits to Any

    async def answers(self, problem: Problem, samples: Sequence[Sample]) -> list[Answer]:
        """The answer of each sample, with its equivalence class among all answers met in this run so far."""
        texts = [sample.whole for sample in samples]
        payload = {"problem": problem.id, "texts": texts, "known": list(self._classes)}
        found = await Invoke(self.key(), "task", "answers", payload)
        answers = [Answer(text, answer_class) for text, answer_class in found]
        met = (answer.answer_class for answer in answers if answer.answer_class is not None)
        self._classes = list(dict.fromkeys([*self._classes, *met]))
        return answers

    async def invoke(self, role: str, method: str, **payload: Any) -> Any:
        """Call a method of a bound role with JSON values; returns JSON."""
        return await Invoke(self.key(), role, method, payload)

    # Streams

    async def start(
        self,
        problem: Problem | Prompt,
        *,
        every: int | None = None,
        rule: Callable[[Partial], bool] | None = None,
        role: str = "generator",
        logprobs: LogprobNeed | None = None,
        **sampling: Any,
    ) -> Handle:
        """Begin one sample without waiting; `every` and `rule` say when partial samples are delivered (see `Start`)."""
        generate = self._generate(problem, 1, 1, role, logprobs, sampling)
        return await Start(generate.key, generate, every, rule)  # type: ignore[no-any-return]  # an operation awaits to Any

    async def next(self, handles: Iterable[Handle]) -> Event:
        """The next event of any of these handles."""
        return await Next(self.wait_key(), tuple(handles))  # type: ignore[no-any-return]  # an operation awaits to Any

    async def cancel(self, handle: Handle) -> Event:
        """Leave something started: frees the server and delivers what had arrived (its tokens are charged)."""
        return await Cancel(self.wait_key(), handle)  # type: ignore[no-any-return]  # an operation awaits to Any

    # Children

    def child(self, budget: Budget | str | None = None) -> Run:
        """A run of its own inside this one, with a budget of its own inside this one's."""
        self._children += 1
        path = (*self.path, self._children - 1)
        self._host.books.open_scope(path, Budget.of(budget))
        return Run(self._host, path)

    async def all(
        self, bodies: Iterable[Callable[[Run], Coroutine[Any, Any, T]]], *, budget: Budget | str | None = None
    ) -> list[T | None]:
        """Run these concurrently, each with a child run under `budget`; their results in order.

        A child whose own budget is spent gives None; the first error cancels the others and is raised.
        """
        from outthink.core.concurrency import gather

        return await gather(self, [(child := self.child(budget), body(child)) for body in bodies])

    async def first(
        self, bodies: Iterable[Callable[[Run], Coroutine[Any, Any, T]]], accept: Callable[[T], bool] = lambda _: True
    ) -> T | None:
        """Run these concurrently and return the first result that `accept` takes; the others are cancelled. None: none did."""
        from outthink.core.concurrency import race

        return await race(self, [(child := self.child(), body(child)) for body in bodies], accept)

    def wait_key(self) -> Key:
        """The key of the next Next or Cancel: counted apart, below 0, so that the pieces a stream came in move no seed."""
        self._waits += 1
        return Key(self._host.name, self.path, -self._waits)

    def key(self) -> Key:
        """The key of the next operation; counts."""
        key = Key(self._host.name, self.path, self._operations)
        self._operations += 1
        return key
