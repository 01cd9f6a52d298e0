"""Steps one strategy: takes the operations that it awaits, and sends back their outcomes.

Outcomes come from the journal where it has them, else from the bound roles; they are journalled before the strategy is told,
and committed where anything was paid for them. Generating is `generation`'s, what runs beside a strategy `races`', money and
time `books`'; several runs at once are the session's.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Coroutine
from typing import Any

from outthink.core.coroutine import end, foreign
from outthink.core.errors import (
    BackendError,
    BudgetCut,
    Cancelled,
    Cut,
    InternalError,
    NoAnswer,
    OutthinkError,
    PoolMiss,
    RunError,
    UsageError,
)
from outthink.core.key import Key
from outthink.core.operation import Cancel, Generate, Invoke, Next, Operation, Score, Start
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Failure, Sample
from outthink.core.sampling import Sampling
from outthink.core.selection import Result, Selection, Stop
from outthink.core.strategy import Strategy
from outthink.runtime.arrivals import Generated
from outthink.runtime.books import Books
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.generation import Generation
from outthink.runtime.history import History
from outthink.runtime.journal import Journal
from outthink.runtime.ledger import Ledger, Scope
from outthink.runtime.listening import Listener
from outthink.runtime.places import Places, Taken, recorded_places
from outthink.runtime.races import Races
from outthink.runtime.roles import OWN_ROLES, answer_invoke
from outthink.runtime.rows import clean
from outthink.runtime.scored import Scored
from outthink.runtime.spec import Bindings, RunSpec
from outthink.runtime.streams import Stream


class Interpreter:
    """One run, to be made and carried out inside a running event loop."""

    def __init__(
        self,
        spec: RunSpec,
        strategy: Strategy,
        bindings: Bindings,
        *,
        ledger: Ledger,
        journal: Journal,
        around: Scope,
        keep_samples: bool = True,
        misses_fail: bool = False,
        listener: Listener | None = None,
    ) -> None:
        self.spec, self.strategy, self.bindings = spec, strategy, bindings
        self.listener, self._keep_samples, self._misses_fail = listener, keep_samples, misses_fail
        self.who = f"strategy {strategy.name}"
        self.name, self.seed, self.ordinal = clean(spec.name), spec.seed, spec.ordinal
        self.problem = spec.problem
        self.logprobs = bindings.logprob_need()
        self.scoring_calls = any(verifier.roles for verifier in bindings.verifiers.values())
        self.history = History(journal, self.name)
        self.books = Books(spec.budget, around, ledger, self.history.before)
        if listener is not None:
            self.books.heard = listener.offered
        self.races = Races(weakref.proxy(self))  # no cycle: a run that ended is freed at once, without a search for cycles
        self.steps = bindings.step_rule()
        self._memories: dict[tuple[tuple[int, ...], str], dict[str, float | None]] = {}
        before = self.history.before
        self._taken, self._scored = Taken(() if before is None else before.samples.values()), Scored()
        self._samples: list[Sample] = []
        self._failed: list[Failure] = []
        self._prompted: tuple[Problem, Prompt] | None = None
        self._ended: Cut | None = None
        self._cut = False

    async def run(self) -> Result:
        """Carry the run out and say what came of it.

        A strategy that fails, or a budget that ends it, gives a Result with a reason; with `misses_fail` so does a PoolMiss. Any
        other UsageError, InternalError and a backend that would refuse everything (a bad key, no server) are raised: the journal
        can be resumed when that is mended. Being cancelled frees everything that the run had under way, and leaves it so too.
        """
        self.history.begin(lambda: self.books.wall_seconds)
        stop, reason, selection, missed = Stop.FINISHED, "", None, False
        try:
            problem = self.problem.without_gold()
            self.prompt(problem)  # a task that can't read it says so before anything is spent
            body = self.strategy.start(Run(self), problem, self.spec.parameters)
            selection = await self.drive(body)
            if not isinstance(selection, Selection):
                raise InternalError(f"{self.who} returned {type(selection).__name__}, not a Selection")
            if selection.answer is None:
                reason = self._scored.unanswered()
        except BudgetCut as cut:
            stop, reason, selection, self._cut = Stop.BUDGET, str(cut.with_traceback(None)), self._best(), True
        except OutthinkError as error:
            missed = isinstance(error, PoolMiss) and self._misses_fail
            raised = isinstance(error, (UsageError, InternalError)) and not missed
            if raised or (isinstance(error, BackendError) and error.hopeless):
                await self.races.leave_all(record=False)
                raise
            refused = self._cut and isinstance(error, NoAnswer)
            stop, reason, selection = Stop.BUDGET if refused else Stop.FAILED, str(error), self._best()
        except Exception as error:  # noqa: BLE001  # a third party's strategy may raise anything: only its own run fails
            stop, selection = Stop.FAILED, self._best()
            reason = f"{self.who} raised {type(error).__name__}: {error}"
        except BaseException:
            await self.races.leave_all(record=False)
            self.history.end(Stop.CANCELLED, None)
            raise
        await self.races.leave_all(record=True)
        self.history.end(stop, None if selection is None else selection.answer)
        return self._result(selection, stop, reason, missed)

    async def drive(self, body: Coroutine[Any, Any, Any]) -> Any:
        """Step a coroutine that awaits operations until it returns; raises what it raises."""
        value: Any = None
        errors: list[BaseException] = []  # at most one; never in a variable of a frame that its traceback keeps
        while True:
            try:
                operation = body.throw(errors.pop()) if errors else body.send(value)
            except StopIteration as stop:
                return stop.value
            if not isinstance(operation, Operation):
                errors.append(foreign(body, operation))
                continue
            try:
                value = await self._perform(operation)
            except (OutthinkError, Cut) as raised:
                errors.append(raised if isinstance(raised, InternalError) else raised.with_traceback(None))
            except BaseException:
                self._ended = Cancelled(f"run {self.name} was left")
                end(body, self._ended)
                raise

    async def _perform(self, operation: Operation) -> Any:
        if self._ended is not None:
            raise self._ended
        match operation:
            case Generate() | Score() | Invoke():
                outcome = await self.carry_out(operation)
                # What these cost was delivered on the way; what was only thought is committed with what comes next.
                if isinstance(operation, Score) or operation.role in OWN_ROLES:
                    return outcome
                return self.deliver(operation.key.path, outcome)
            case Start():
                return self.races.start(operation)
            case Next():
                return await self.races.next(operation)
            case Cancel():
                return await self.races.cancel(operation)
        raise InternalError(f"{type(operation).__name__} is no operation that the interpreter knows")

    async def carry_out(self, operation: Generate | Score | Invoke, stream: Stream | None = None) -> Any:
        """The outcome of an operation, from the journal or its role, journalled and not yet delivered."""
        if self.listener is None:
            return await self._carry_out(operation, stream)
        self.listener.performing(operation)
        try:
            value = await self._carry_out(operation, stream)
        except BaseException as error:
            self.listener.performed(operation, error)
            raise
        self.listener.performed(operation, None)
        return value

    async def _carry_out(self, operation: Generate | Score | Invoke, stream: Stream | None) -> Any:
        if isinstance(operation, Generate):
            return await Generation(self, operation, stream).carry_out()
        digest, found = operation.digest(), self.history.outcome(operation)
        if isinstance(operation, Invoke):
            value = found.value if found is not None else await answer_invoke(self, operation)
            if found is None:
                self.history.add_outcome(operation.key, "invoke", digest, value)
            return value
        # On a resume the verifier is stepped again, so that the books stay right, but what it once said is what counts.
        scores = await self._score(operation)
        if found is None:
            used, keys = self.books.spent(_inside(operation.key)), [str(sample.key) for sample in operation.samples]
            value = {"role": operation.role, "samples": keys, "scores": scores, "usage": used.fields()}
            self.history.add_outcome(operation.key, "score", digest, value)
            return scores
        return found.value["scores"]

    async def _score(self, operation: Score) -> list[float | None]:
        """Step the verifier like a strategy: its own operations are charged and journalled one by one."""
        verifier = self.bindings.verifier(operation.role, self.who)
        try:
            scores = await self.drive(verifier.score(Run(self, _inside(operation.key)), operation.problem, operation.samples))
            numbers = [None if score is None else float(score) for score in scores]
        except OutthinkError:
            raise
        except Exception as error:
            raise RunError(f"verifier {verifier.name} raised {type(error).__name__}: {error}") from error
        if len(numbers) != len(operation.samples):
            raise RunError(f"verifier {verifier.name} gave {len(numbers)} scores for {len(operation.samples)} samples")
        # NaN and infinities would poison every comparison: to a strategy they are "can't say".
        said = [number if number is not None and math.isfinite(number) else None for number in numbers]
        self._scored.add(verifier, said)
        return said

    def deliver(self, path: tuple[int, ...], outcome: Any) -> Any:
        """Commit, enter what an outcome cost into the books, and hand it over; raises where too little arrived."""
        self.history.commit()
        if not isinstance(outcome, Generated):
            return outcome
        samples = outcome.samples
        self.books.deliver(path, outcome.usage)
        self._cut = self._cut or samples.cut
        self._failed += samples.failed
        if self._keep_samples:
            self._samples += samples.items
        if outcome.error is not None:
            if isinstance(outcome.error, BudgetCut) and outcome.error.path is None:
                self._ended = outcome.error
            raise outcome.error
        return samples

    # What a Run and the parts of the runtime ask for

    def prompt(self, problem: Problem) -> Prompt:
        """The task's prompt; the gold answer can't be in it. Kept, since a verifier asks for it with every sample."""
        if self._prompted is None or self._prompted[0] is not problem:
            self._prompted = problem, self.bindings.task.prompt(problem.without_gold())
        return self._prompted[1]

    def sampling(self, role: str) -> Sampling:
        """The settings of a generating role."""
        return self.bindings.sampling.get(role) or Sampling()

    def endpoint(self, role: str) -> Endpoint:
        """What a generating role is bound to. Raises MissingRole."""
        return self.bindings.endpoint(role, self.who)

    def thinking(self, role: str) -> tuple[str, str] | None:
        """The marks of a generating role's thinking block."""
        return self.endpoint(role).backend.capabilities.thinking

    def memory(self, path: tuple[int, ...], name: str) -> dict[str, float | None]:
        """What a verifier remembers in the run (or child) whose samples it scores."""
        scored = path[:-1] if path and path[-1] < 0 else path
        return self._memories.setdefault((scored, name), {})

    def places(self, operation: Generate) -> Places:
        """New places among the samples of this run."""
        before, key = self.history.before, operation.key
        return Places(operation, self._taken, {} if before is None else recorded_places(before.of(key.path, key.seq)))

    def _best(self) -> Selection | None:
        return self.books.offers[-1].selection if self.books.offers else None

    def _result(self, selection: Selection | None, stop: Stop, reason: str, missed: bool) -> Result:
        seeded = all(endpoint.backend.capabilities.seed for endpoint in self.bindings.endpoints.values())
        total, usd = self.books.total, self.books.total.usd
        over = f"overrun: the server took {self.books.overrun} tokens more than it was granted" if self.books.overrun else ""
        for told in (self._scored.remark(), over):
            if told not in reason:
                reason = f"{reason}; {told}" if reason else told
        return Result(
            problem_id=self.problem.id,
            strategy=self.strategy.name,
            answer=selection.answer if selection is not None else None,
            selection=selection,
            stop=stop,
            reason=reason,
            # A sum of floats depends on the order of arrival.
            usage=total._replace(seconds=round(total.seconds, 9), usd=None if usd is None else round(usd, 12)),
            wall_seconds=self.books.wall_seconds,
            offers=tuple(self.books.offers),
            samples=tuple(sorted(self._samples, key=lambda sample: _order(sample.key))),
            failed=tuple(sorted(self._failed, key=lambda failure: _order(failure.key))),
            cut=self._cut,
            missed=missed,
            repeatable=seeded and not (self._cut or self.spec.budget.seconds is not None or self.races.raced or self._failed),
        )


def _inside(key: Key) -> tuple[int, ...]:
    """The path of the run inside a Score: below 0, so that it never meets a child's."""
    return (*key.path, -1 - key.seq)


def _order(key: Key) -> tuple[tuple[int, ...], int, int]:
    return (key.path, key.seq, key.index)
