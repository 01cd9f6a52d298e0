"""Steps one strategy: takes the operations that it awaits, and sends back their outcomes.

Outcomes come from the journal where it has them, else from the bound roles; they are journalled and committed before the
strategy is told. The books that a strategy can read stand as of the last outcome delivered. Generating is `generation`'s,
streams are `streams`'; several runs at once are `session`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from outthink.core.budget import NOTHING, Budget, Usage
from outthink.core.errors import (
    BudgetCut,
    Cancelled,
    Cut,
    ForeignAwait,
    InternalError,
    JournalMismatch,
    OutthinkError,
    UsageError,
)
from outthink.core.key import Key
from outthink.core.operation import Cancel, Event, EventKind, Generate, Invoke, Next, Operation, Score, Start
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.run import Run
from outthink.core.sample import Failure, Finish, Sample, Samples
from outthink.core.sampling import Sampling
from outthink.core.selection import Offer, Result, Selection, Stop
from outthink.core.strategy import Strategy
from outthink.runtime.foreign import place_of
from outthink.runtime.generation import Generated, Generation
from outthink.runtime.journal import Journal, Recorded
from outthink.runtime.ledger import Ledger, Scope
from outthink.runtime.roles import answer_invoke
from outthink.runtime.rows import Row
from outthink.runtime.spec import Bindings, RunSpec
from outthink.runtime.streams import Stream


class Interpreter:
    """One run. `run()` carries it out; everything else serves the parts of the runtime and the strategy's `Run`."""

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
    ) -> None:
        self.spec, self.strategy, self.bindings = spec, strategy, bindings
        self.ledger, self.journal, self.keep_samples = ledger, journal, keep_samples
        self.name, self.seed, self.ordinal = spec.name, spec.seed, spec.ordinal
        self.problem = spec.problem
        self.logprobs = bindings.logprob_need()
        self.total = NOTHING
        self._recorded: Recorded | None = None
        self._scopes: dict[tuple[int, ...], Scope] = {(): Scope("problem", spec.budget, around)}
        self._delivered: dict[tuple[int, ...], Usage] = {}
        self._streams: dict[Key, Stream] = {}
        self._ordinals: dict[str, int] = {}
        self._samples: dict[Key, Sample] = {}
        self._failed: dict[Key, Failure] = {}
        self._offers: list[Offer] = []
        self._arrivals = itertools.count(1)
        self._event = asyncio.Event()
        self._ended: Cut | None = None
        self._cut = self._raced = False
        self._started = 0.0

    # The run

    async def run(self) -> Result:
        """Carry the run out and say what came of it.

        A strategy that fails, or a budget that ends it, gives a Result with a reason; UsageError and InternalError are raised.
        Being cancelled frees everything the run had under way and leaves its journal resumable.
        """
        self._recorded = self.journal.recorded(self.name)
        self.journal.begin(self.name)
        before = self._recorded.wall_seconds if self._recorded is not None else 0.0
        self._started = asyncio.get_running_loop().time() - before
        self._set_deadline(self._scopes[()], self._started)
        body = self.strategy.start(Run(self), self.problem.without_gold(), self.spec.parameters)
        stop, reason, selection = Stop.FINISHED, "", None
        try:
            selection = await self.drive(body)  # type: ignore[arg-type]  # an async function's coroutine
            if not isinstance(selection, Selection):
                raise InternalError(f"strategy {self.strategy.name} returned {type(selection).__name__}, not a Selection")
            if selection.answer is None:
                reason = "no sample holds a valid answer"
        except BudgetCut as cut:
            stop, reason, selection, self._cut = Stop.BUDGET, str(cut), self._best(), True
        except (UsageError, InternalError):
            await self._leave_streams(record=False)
            raise
        except OutthinkError as error:
            stop, reason, selection = Stop.FAILED, str(error), self._best()
        except Exception as error:  # noqa: BLE001  # a third party's strategy may raise anything: only its own run fails
            stop, reason = Stop.FAILED, f"strategy {self.strategy.name} raised {type(error).__name__}: {error}"
            selection = self._best()
        except BaseException:
            await self._leave_streams(record=False)
            self.journal.end(self.name, Stop.CANCELLED, None, self._wall())
            raise
        await self._leave_streams(record=True)
        answer = selection.answer if selection is not None else None
        self.journal.end(self.name, stop, answer, self._wall())
        return self._result(selection, stop, reason)

    async def drive(self, body: Coroutine[Any, Any, Any]) -> Any:
        """Step a coroutine that awaits operations until it returns; raises what it raises."""
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                operation = body.throw(error) if error is not None else body.send(value)
            except StopIteration as stop:
                return stop.value
            value = error = None
            if not isinstance(operation, Operation):
                error = ForeignAwait(
                    f"{place_of(body)}: a strategy can only await operations of its run, not {type(operation).__name__}; "
                    "bind your own async code as a role and call it with run.invoke"
                )
                continue
            try:
                value = await self._perform(operation)
            except asyncio.CancelledError:
                self._ended = Cancelled(f"run {self.name} was cancelled")
                with contextlib.suppress(BaseException):
                    body.throw(self._ended)
                raise
            except (OutthinkError, Cut) as raised:
                error = raised

    async def _perform(self, operation: Operation) -> Any:
        if self._ended is not None:
            raise self._ended
        match operation:
            case Generate() | Score() | Invoke():
                outcome = await self._carry_out(operation, None)
                return self._deliver(operation.key.path, outcome)
            case Start():
                return self._start(operation)
            case Next():
                return await self._next(operation)
            case Cancel():
                return await self._cancel(operation)
        raise InternalError(f"{type(operation).__name__} is no operation that the interpreter knows")

    async def _carry_out(self, operation: Generate | Score | Invoke, stream: Stream | None) -> Any:
        if isinstance(operation, Generate):
            return await Generation(self, operation, stream).carry_out()
        digest = operation.digest()
        found = self._recorded.outcomes.get((operation.key.path, operation.key.seq)) if self._recorded is not None else None
        if found is not None:
            if found.digest != digest:
                raise JournalMismatch(f"the journal's {operation.key} was another operation: the code changed", field="code")
            if isinstance(operation, Score):
                usage = Usage(**found.value["usage"])
                self.charge(self.scope_of(operation.key.path), usage)
                self._book(operation.key.path, usage)
                return found.value["scores"]
            return found.value
        if isinstance(operation, Score):
            value = await self._score(operation)
            used = self._delivered.get(_inside(operation.key), NOTHING)
            self.journal.add_outcome(self.name, operation.key, "score", digest, {"scores": value, "usage": used.fields()})
            return value
        value = await answer_invoke(self, operation)
        self.journal.add_outcome(self.name, operation.key, "invoke", digest, value)
        return value

    async def _score(self, operation: Score) -> list[float | None]:
        verifier = self.bindings.verifiers[operation.role]
        scores = await self.drive(verifier.score(Run(self, _inside(operation.key)), operation.problem, operation.samples))
        if len(scores) != len(operation.samples):
            raise InternalError(f"verifier {verifier.name} gave {len(scores)} scores for {len(operation.samples)} samples")
        # NaN and infinities would poison every comparison: to a strategy they are "can't say".
        return [score if score is not None and abs(score) < float("inf") else None for score in scores]

    def _deliver(self, path: tuple[int, ...], outcome: Any) -> Any:
        """Commit, enter what it cost into the books, and hand it over; raises where too little arrived."""
        self.journal.flush()
        if not isinstance(outcome, Generated):
            return outcome
        self._book(path, outcome.usage)
        samples = outcome.samples
        self._cut = self._cut or samples.cut
        self._failed.update((failure.key, failure) for failure in samples.failed)
        if self.keep_samples:
            self._samples.update((sample.key, sample) for sample in samples.items)
        if outcome.error is not None:
            if isinstance(outcome.error, BudgetCut) and outcome.error.path is None:
                self._ended = outcome.error
            raise outcome.error
        return samples

    # Streams

    def _start(self, start: Start) -> Any:
        if start.key in self._streams:
            raise InternalError(f"{start.key} was started twice")
        left = self._recorded is not None and (start.key.path, start.key.seq) in self._recorded.outcomes
        stream = Stream(start, self._woken, was_left=left and isinstance(start.operation, Generate))
        self._streams[start.key] = stream
        stream.task = asyncio.create_task(self._run_stream(stream))
        return stream.handle

    async def _run_stream(self, stream: Stream) -> None:
        operation = stream.start.operation
        try:
            stream.finish(await self._carry_out(operation, stream if isinstance(operation, Generate) else None))
        except (OutthinkError, Cut) as error:
            stream.finish(error=error)

    def _woken(self, stream: Stream) -> None:
        if not stream.arrival:
            stream.arrival = next(self._arrivals)
        self._event.set()

    async def _next(self, operation: Next) -> Event:
        streams = [self._streams[handle.key] for handle in operation.handles if handle.key in self._streams]
        if not streams:
            raise InternalError(f"{operation.key} waits for nothing: its handles were delivered or never started")
        found = self._recorded.outcomes.get((operation.key.path, operation.key.seq)) if self._recorded is not None else None
        if found is not None and found.kind == "event":
            return await self._replayed_event(streams, found.value)
        live = [stream for stream in streams if not stream.was_left]
        self._raced = self._raced or len(streams) > 1
        async with self._timed(operation.key.path):
            while not (ready := [stream for stream in live if stream.arrival]):
                self._event.clear()
                await self._event.wait()
        stream = min(ready, key=lambda stream: stream.arrival)
        event = stream.take()
        assert event is not None
        stream.arrival = next(self._arrivals) if event.kind is EventKind.PARTIAL and stream.final is not None else 0
        value: dict[str, Any] = {"handle": str(event.handle.key), "kind": event.kind}
        if event.kind is EventKind.PARTIAL:
            value |= {"text": event.value.text, "tokens": event.value.tokens}
        self.journal.add_outcome(self.name, operation.key, "event", operation.digest(), value)
        return self._delivered_event(stream, event)

    async def _replayed_event(self, streams: Sequence[Stream], value: Any) -> Event:
        for stream in streams:
            if str(stream.handle.key) == value["handle"]:
                break
        else:
            raise JournalMismatch(
                f"the journal delivered {value['handle']}, which the strategy doesn't wait for now", field="code"
            )
        if value["kind"] == EventKind.PARTIAL:
            partial = Sample(stream.start.key.sample(0), value["text"], Finish.CANCELLED, value["tokens"])
            return Event(stream.handle, EventKind.PARTIAL, partial)
        assert stream.task is not None
        async with self._timed(stream.handle.key.path):
            await asyncio.wait([stream.task])
        assert stream.final is not None
        return self._delivered_event(stream, stream.final)

    def _delivered_event(self, stream: Stream, event: Event) -> Event:
        self.journal.flush()
        if event.kind is EventKind.PARTIAL:
            return event
        del self._streams[stream.handle.key]
        if not isinstance(event.value, Generated):
            return event
        try:
            return replace(event, value=self._deliver(stream.handle.key.path, event.value))
        except (OutthinkError, Cut) as error:
            return Event(event.handle, EventKind.FAILED, error=error)

    async def _cancel(self, operation: Cancel) -> Event:
        stream = self._streams.get(operation.handle.key)
        if stream is None:
            return Event(operation.handle, EventKind.CANCELLED)
        return await self._leave(stream)

    async def _leave(self, stream: Stream) -> Event:
        """End a stream for good: note that it was left, so that a resume doesn't pay for the rest of it."""
        key = stream.handle.key
        if stream.final is None and isinstance(stream.start.operation, Generate) and not stream.was_left:
            self.journal.add_outcome(self.name, key, "left", stream.start.operation.digest(), None)
        await stream.leave()
        self._streams.pop(key, None)
        sample = self._last_sample(stream)
        if sample is not None:
            self._deliver(key.path, Generated(Samples((sample,))))
        self.journal.flush()
        return Event(stream.handle, EventKind.CANCELLED, sample)

    def _last_sample(self, stream: Stream) -> Sample | None:
        if stream.final is not None and isinstance(stream.final.value, Generated):
            items = stream.final.value.samples.items
            return items[0] if items else None
        return stream.left_sample

    async def _leave_streams(self, *, record: bool) -> None:
        for stream in list(self._streams.values()):
            if record:
                await self._leave(stream)
            elif stream.task is not None:
                stream.task.cancel()
                await asyncio.gather(stream.task, return_exceptions=True)
        self._streams.clear()

    # Books and settings: what generation, roles and the strategy's Run ask for

    def prompt(self, problem: Problem) -> Prompt:
        """The task's prompt; the gold answer can't be in it."""
        return self.bindings.task.prompt(problem.without_gold())

    def sampling(self, role: str) -> Sampling:
        """The settings of a generating role."""
        return self.bindings.sampling.get(role) or Sampling()

    def scope_of(self, path: tuple[int, ...]) -> Scope:
        """The scope of a child run: its own, or the nearest around it."""
        while path not in self._scopes:
            path = path[:-1]
        return self._scopes[path]

    def open_scope(self, path: tuple[int, ...], budget: Budget) -> None:
        """Give a child run a budget inside its parent's."""
        if budget.limits():
            name = f"child run {'.'.join(map(str, path))}"
            self._scopes[path] = Scope(name, budget, self.scope_of(path[:-1]), path=path)
            self._set_deadline(self._scopes[path], asyncio.get_running_loop().time())

    def left(self, path: tuple[int, ...]) -> Budget:
        """What the run's own scopes have left, as of the last outcome delivered."""
        left: dict[str, float] = {}
        for scope in self.scope_of(path).chain:
            if scope is self._scopes[()].parent:
                break
            spent = self._delivered.get(scope.path or (), NOTHING)
            for name, limit in scope.budget.limits().items():
                used = {"tokens": spent.most_tokens, "seconds": self._wall(), "usd": spent.usd or 0.0}.get(name)
                if used is None:
                    used = getattr(spent, name) + getattr(spent, f"unknown_{name}", 0)
                left[name] = min(left.get(name, limit), max(0, limit - used))
        return Budget(**left)  # type: ignore[arg-type]  # names are a budget's own

    def spent(self, path: tuple[int, ...]) -> Usage:
        """What a child run cost, as of the last outcome delivered."""
        return self._delivered.get(path, NOTHING)

    def offer(self, path: tuple[int, ...], selection: Selection, spent: Usage | None) -> None:
        """Keep an answer on the way; a child's offers are its parent's business."""
        if not path:
            self._offers.append(Offer(selection, spent if spent is not None else self.spent(())))

    def take_ordinals(self, role: str, n: int) -> int:
        """The first of n new places among all samples that this run asks of a role."""
        first = self._ordinals.get(role, 0)
        self._ordinals[role] = first + n
        return first

    def spend(self, usage: Usage) -> None:
        """Enter an attempt into the run's total; the ledger has it already."""
        self.total = self.total + usage

    def charge(self, scope: Scope, usage: Usage) -> None:
        """Enter a journalled outcome into the total and the ledger."""
        self.spend(usage)
        prompt = usage.prompt_tokens + usage.unknown_prompt_tokens
        completion = usage.completion_tokens + usage.unknown_completion_tokens
        self.ledger.charge(scope, (usage.samples, usage.calls, prompt, completion, prompt + completion, usage.usd or 0.0))

    def recorded_sample(self, key: Key, index: int) -> Row | None:
        """What the journal holds of a sample."""
        return self._recorded.samples.get((key.path, key.seq, index)) if self._recorded is not None else None

    def orphans(self, key: Key, index: int) -> list[Row]:
        """Attempts at a sample that were sent before a crash and have no outcome; each is told once, and charged then."""
        if self._recorded is None:
            return []
        rows = self._recorded.sent.pop((key.path, key.seq, index), [])
        for row in rows:
            self.charge(self.scope_of(key.path), row.usage)
        return rows

    def deadline_of(self, scope: Scope) -> float | None:
        """The earliest deadline of a scope and those around it, on the loop's clock."""
        return min((each.deadline for each in scope.chain if each.deadline is not None), default=None)

    def out_of_time(self, scope: Scope) -> BudgetCut:
        """The cut that says whose seconds ran out."""
        now = asyncio.get_running_loop().time()
        for each in scope.chain:
            if each.deadline is not None and each.deadline <= now:
                return BudgetCut(each.name, "seconds", f"{each.budget.seconds:g} s", path=each.path)
        raise InternalError("a deadline passed that no scope has")

    @contextlib.asynccontextmanager
    async def _timed(self, path: tuple[int, ...]) -> Any:
        scope = self.scope_of(path)
        try:
            async with asyncio.timeout_at(self.deadline_of(scope)):
                yield
        except TimeoutError:
            raise self.out_of_time(scope) from None

    def _set_deadline(self, scope: Scope, started: float) -> None:
        if scope.budget.seconds is not None:
            scope.deadline = started + scope.budget.seconds

    def _book(self, path: tuple[int, ...], usage: Usage) -> None:
        for end in range(len(path) + 1):
            self._delivered[path[:end]] = self._delivered.get(path[:end], NOTHING) + usage

    def _wall(self) -> float:
        return asyncio.get_running_loop().time() - self._started

    def _best(self) -> Selection | None:
        return self._offers[-1].selection if self._offers else None

    def _result(self, selection: Selection | None, stop: Stop, reason: str) -> Result:
        can = [endpoint.backend.capabilities for endpoint in self.bindings.endpoints.values()]
        bound = self._cut or any(name == "seconds" for name in self.spec.budget.limits())
        return Result(
            problem_id=self.problem.id,
            strategy=self.strategy.name,
            answer=selection.answer if selection is not None else None,
            selection=selection,
            stop=stop,
            reason=reason,
            usage=replace(self.total, seconds=round(self.total.seconds, 9)),  # sums of floats depend on the order of arrival
            wall_seconds=self._wall(),
            offers=tuple(self._offers),
            samples=tuple(self._samples[key] for key in sorted(self._samples, key=_order)),
            failed=tuple(self._failed[key] for key in sorted(self._failed, key=_order)),
            cut=self._cut,
            repeatable=all(each.seed for each in can) and not (bound or self._raced or self._failed),
        )


def _inside(key: Key) -> tuple[int, ...]:
    """The path of the run inside a Score: below 0, so that it never meets a child's."""
    return (*key.path, -1 - key.seq)


def _order(key: Key) -> tuple[tuple[int, ...], int, int]:
    return (key.path, key.seq, key.index)
