"""One Generate: issue its samples in key order as far as budgets allow, and collect what arrives.

Retries and slots are the endpoint's; what an operation means to a strategy is the interpreter's.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outthink.core.backend import Identity
from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BackendError, BadInput, BudgetCut, Cut, JournalMismatch, OutthinkError, Permanent, QuorumNotMet
from outthink.core.key import seed_of
from outthink.core.operation import Generate
from outthink.core.sample import Failure, Sample, Samples
from outthink.runtime.batch import Batch, Order
from outthink.runtime.rows import Row, cut_meta
from outthink.runtime.streams import Stream, heard

if TYPE_CHECKING:
    from outthink.runtime.interpreter import Interpreter

WINDOW = 256
"""Most requests of one operation under way, or twice the endpoint's limit where that is more: memory stays bounded."""
HOPELESS_RUN = 8
"""A Generate that fills its budget gives up after so many failures in a row: each would cost calls for nothing."""
_HOPELESS = f"not asked for, since {HOPELESS_RUN} samples before it failed in a row"


@dataclass(slots=True)
class Generated:
    """What came of a Generate: everything that arrived, and the error to raise if that isn't enough."""

    samples: Samples
    error: OutthinkError | Cut | None = None

    @property
    def usage(self) -> Usage:
        """What all of it cost."""
        usages = [sample.usage for sample in self.samples.items] + [failure.usage for failure in self.samples.failed]
        return sum(usages, NOTHING)


@dataclass(slots=True)
class _State:
    """Rows so far by sample index; `end`: the first sample that is not asked for, `cut`: the budget that kept one from it."""

    rows: dict[int, Row] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    cut: BudgetCut | None = None
    end: int | None = None
    failures: int = 0
    hopeless: bool = False
    batch: Batch | None = None
    error: BaseException | None = None
    woken: asyncio.Future[None] | None = None
    wake_at: int = 0


class Generation:
    """One Generate being carried out for one run."""

    def __init__(self, run: Interpreter, operation: Generate, stream: Stream | None = None) -> None:
        self.run, self.operation, self.stream = run, operation, stream
        self.key, self.name = operation.key, str(operation.key)
        # What is watched on the way is part of what was asked for: it decides what is left.
        self.digest = stream.start.digest() if stream is not None and stream.watched else operation.digest()
        self.endpoint = run.bindings.endpoint(operation.role, f"strategy {run.strategy.name}")
        if stream is not None:
            stream.counts = self.endpoint.backend.capabilities.counts
            if self.endpoint.backend.capabilities.exact_cancel:
                stream.patience = 0.0
        self.scope = run.books.scope_of(self.key.path)
        # A stream's place was taken when it was started: its task may run later, and at another time in a resume.
        taken = None if stream is None else stream.places
        self.places = run.places(operation) if taken is None else taken
        self.state = _State(end=operation.n)
        self.order = self._order()
        self._bounds: dict[int, int] = {}

    async def carry_out(self) -> Generated:
        """Issue, wait, collect. Raises errors that are not a sample's own (PoolMiss, a full disk, ...)."""
        self._check()
        limit = asyncio.timeout_at(self.run.books.deadline(self.scope))
        try:
            self.run.journal.add_operation(self.run.name, self.digest, self.operation)
            self._replay()
            async with limit:
                await self._issue(limit.when())
                await self._until_under_way(0)
        except TimeoutError:
            await self._stop_tasks()
            if not limit.expired():
                raise  # a backend's own
            self.state.cut = self.run.books.out_of_time(self.scope)
        except BaseException:
            await self._stop_tasks()
            if self.stream is not None and self.stream.leaving:
                self._record_left()
            raise
        return self._collected()

    def _check(self) -> None:
        operation, can = self.operation, self.endpoint.backend.capabilities
        can.require_logprobs(operation.logprobs, f"strategy {self.run.strategy.name}", self.endpoint.backend.name)
        if operation.n is None and not self.scope.bounded and self.run.books.deadline(self.scope) is None:
            raise BadInput(
                "n=None fills the budget, and there is none; give a budget such as '16 samples' or the strategy an n",
                where=f"strategy {self.run.strategy.name}",
            )

    def _replay(self) -> None:
        """Take all that the journal holds of this operation, whether or not the samples before it arrived."""
        for row in self.run.recorded_samples(self.key):
            if row.digest != self.digest:
                raise JournalMismatch(
                    f"the journal's {self.key} was another operation: the code of strategy {self.run.strategy.name}, its "
                    "prompts or its settings changed since; take a new journal",
                    field="code",
                )
            self.state.rows[row.index] = row
            self.state.cut = self.state.cut or row.cut
            if row.state == "refused":
                self.state.end = row.index
            else:
                self.places.reach(row.index + 1)

    async def _issue(self, deadline: float | None) -> None:
        state, index, width = self.state, 0, self._width()
        while state.end is None or index < state.end:
            if index in state.rows:
                index += 1
                continue
            if state.error is not None:
                raise state.error
            if self.stream is not None and self.stream.was_left:
                return
            if deadline is not None and asyncio.get_running_loop().time() >= deadline:
                await asyncio.sleep(0)  # where the deadline strikes
                continue
            if self.operation.n is None and state.hopeless:
                self._refuse(index, reason=_HOPELESS)
                return
            window = self.scope.useful(max(WINDOW, 2 * self.endpoint.limiter.limit), width)
            if len(state.tasks) >= window:
                await self._until_under_way(window // 2)
                continue
            end = index + width if state.end is None else min(index + width, state.end)
            index += await self._send(list(itertools.takewhile(lambda i: i not in state.rows, range(index, end))))

    def _refuse(self, index: int, **columns: Any) -> None:
        self._arrived(Row(self.key.path, self.key.seq, index, "refused", self.digest, **columns))
        self.state.end = index

    async def _send(self, indices: list[int]) -> int:
        """Reserve and launch one request; returns how many samples it is for. Stops issuing when nothing fits."""
        while True:
            batch = self._batch(indices)
            try:
                grant = await self.endpoint.ledger.reserve(self.scope, self.endpoint.ask(batch), batch.priority)
                break
            except BudgetCut as cut:
                if len(indices) > 1:
                    indices = indices[: len(indices) // 2]
                    continue
                self._refuse(indices[0], reason=str(cut), meta=cut_meta(cut))
                return 0
        self.places.reach(indices[-1] + 1)  # places that follow each other
        batch.identity = Identity(self.run.problem.id, *self.places.of(indices[0]), self.run.name, self.operation.role)
        self.state.batch = batch
        task = asyncio.create_task(self.endpoint.fulfil(batch, grant))
        self.state.tasks.add(task)
        task.add_done_callback(self._task_ended)
        # A task that was cancelled before it first ran has not settled: then nothing was sent.
        task.add_done_callback(lambda _: self.endpoint.ledger.settle(grant, samples=0, calls=0))
        return len(indices)

    def _width(self) -> int:
        """Samples per request: more than one only where the backend shares the prompt and nothing is streamed."""
        alone = self.stream is not None or len(self.operation.prompts) > 1 or bool(self.operation.temperatures)
        return 1 if alone else max(1, self.endpoint.backend.capabilities.n)

    def _order(self) -> Order:
        # Of several samples at once nobody could tell whose piece arrived: they are not streamed, and left they are lost.
        return Order(
            run=self.run.name,
            operation=self.operation,
            digest=self.digest,
            scope=self.scope,
            arrived=self._arrived,
            spent=self._spent,
            sent=self._sent,
            failed=self._failed,
            stream=heard(self.stream, self.operation, self.run.listener, self.endpoint.backend.capabilities),
            doomed=lambda: Permanent(_HOPELESS) if self.operation.n is None and self.state.hopeless else None,
        )

    def _batch(self, indices: list[int]) -> Batch:
        run, first = self.run, indices[0]
        name = f"{self.name}#{first}"
        batch = Batch(
            self.order,
            indices,
            [seed_of(run.seed, f"{self.name}#{index}") for index in indices],
            self.operation.prompt(first),
            self._bound(first),
            (run.ordinal, self.key.path, self.key.seq, first),
            name,
        )
        if run.resumed:
            for index in indices:
                batch.costs[index] = run.lost_before(self.key, index)
        return batch

    def _bound(self, index: int) -> int:
        """Most prompt tokens of a sample; counted once for a prompt that all share."""
        at = 0 if len(self.operation.prompts) == 1 else index
        if at not in self._bounds:
            self._bounds[at] = self.endpoint.backend.prompt_bound(self.operation.prompts[at])
        return self._bounds[at]

    def _sent(self, first: int, prompt: int, completion: int, usd: float | None) -> None:
        if self.order.stream is not None:
            self.order.stream.restart()
        if self.run.listener is not None:
            self.run.listener.sent(self.operation, first)
        self.run.journal.add_sent(self.run.name, self.key.sample(first), self.digest, prompt, completion, usd)

    def _spent(self, usage: Usage) -> None:
        self.run.books.spend(usage)
        if self.run.listener is not None:
            self.run.listener.spent(self.operation, usage)

    def _failed(self, index: int, error: BackendError) -> bool:
        return self.run.listener is None or self.run.listener.attempt_failed(self.operation, index, error)

    def _arrived(self, row: Row) -> None:
        self.run.journal.add_sample(self.run.name, row)
        if self.run.listener is not None and row.state != "paid":
            self.run.listener.arrived(self.operation, row)
        if row.state != "paid":
            self.state.rows[row.index] = row
            self.state.cut = self.state.cut or row.cut
            self.state.failures = self.state.failures + 1 if row.state == "failed" else 0
            self.state.hopeless = self.state.hopeless or self.state.failures >= HOPELESS_RUN

    async def _until_under_way(self, count: int) -> None:
        """Wait until at most so many requests are under way. Raises what a request raised that is no sample's own failure."""
        state = self.state
        while state.error is None and len(state.tasks) > count:
            state.wake_at, state.woken = count, asyncio.get_running_loop().create_future()
            await state.woken
        if state.error is not None:
            raise state.error

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        state = self.state
        state.tasks.discard(task)
        if not task.cancelled():
            state.error = task.exception() or state.error  # asked of each: one that nobody asks complains
        if state.woken is not None and not state.woken.done() and (state.error or len(state.tasks) <= state.wake_at):
            state.woken.set_result(None)

    async def _stop_tasks(self) -> None:
        for task in self.state.tasks:
            task.cancel()
        await asyncio.gather(*self.state.tasks, return_exceptions=True)

    def _record_left(self) -> None:
        """The strategy left this operation: what it had begun is final, so that a resume doesn't pay for it again."""
        stream, batch = self.stream, self.state.batch
        if stream is None or batch is None or 0 in self.state.rows:
            return
        cost = batch.costs.get(0, NOTHING)
        if cost.samples:  # the endpoint charged what had arrived as a sample
            self._arrived(row := batch.row(0, "ok", cost, text=stream.text, finish="cancelled", tokens=stream.known))
            left = row.outcome(self.run.name)
            stream.left_sample = left if isinstance(left, Sample) else None
        elif cost.calls:  # nothing had arrived: what it cost is known all the same, as no more than its prompt
            self._arrived(batch.row(0, "paid", cost))

    def _collected(self) -> Generated:
        rows = [self.state.rows[index] for index in sorted(self.state.rows)]
        outcomes = [row.outcome(self.run.name) for row in rows if row.state != "refused"]
        items = tuple(each for each in outcomes if isinstance(each, Sample))
        failed = tuple(each for each in outcomes if isinstance(each, Failure))
        # Filling a budget of samples is what was asked for, not a cut; other limits depend on what the samples took.
        filled = self.operation.n is None and self.state.cut is not None and self.state.cut.dimension == "samples"
        most = self.operation.sampling.max_tokens
        clipped = any(row.finish == "length" and row.max_tokens < most for row in rows)
        samples = Samples(items, failed, clipped or (self.state.cut is not None and not filled))
        if len(items) >= self.operation.quorum:
            return Generated(samples)
        if self.state.cut is not None and not items:
            return Generated(samples, self.state.cut)
        return Generated(samples, QuorumNotMet(self.operation.quorum, items, [each.reason for each in failed]))
