"""One Generate: issue its samples in key order as far as budgets allow, and collect what arrives.

Retries and slots are the endpoint's, what arrived `arrivals`'; what an operation means to a strategy is the interpreter's.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Protocol

from outthink.core.backend import Identity
from outthink.core.budget import NOTHING, Usage
from outthink.core.errors import BackendError, BadInput, BudgetCut, Permanent
from outthink.core.key import seed_of
from outthink.core.operation import Generate
from outthink.core.problem import Problem
from outthink.core.sample import Sample
from outthink.runtime.arrivals import HOPELESS_RUN, Arrivals, Generated
from outthink.runtime.batch import Batch
from outthink.runtime.books import Books
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.history import History
from outthink.runtime.listening import Listener
from outthink.runtime.places import PLACE, Places
from outthink.runtime.rows import Row, cut_meta
from outthink.runtime.streams import Stream, heard
from outthink.runtime.under_way import UnderWay

WINDOW = 256
"""Most requests of one operation under way, or twice the endpoint's limit where that is more: memory stays bounded."""
_HOPELESS = f"not asked for, since {HOPELESS_RUN} samples before it failed in a row"


class Asker(Protocol):
    """What a Generate knows of the run that it is part of. `who` names the strategy in messages."""

    name: str
    who: str
    seed: int
    ordinal: int
    problem: Problem
    books: Books
    history: History
    listener: Listener | None

    def endpoint(self, role: str) -> Endpoint: ...
    def places(self, operation: Generate) -> Places: ...


class Generation:
    """One Generate being carried out for one run. To its endpoint it is the `Order` that requests belong to."""

    def __init__(self, run: Asker, operation: Generate, stream: Stream | None = None) -> None:
        self.run, self.operation, self._own_stream = run, operation, stream
        self.key, self.name = operation.key, str(operation.key)
        self.digest = operation.digest() if stream is None else stream.digest()
        self.endpoint = run.endpoint(operation.role)
        can = self.endpoint.backend.capabilities
        if stream is not None:
            stream.counts = can.counts
            if can.exact_cancel:
                stream.patience = 0.0
        # Of several samples at once nobody could tell whose piece arrived: they are not streamed, and left they are lost.
        self.stream = heard(stream, operation, run.listener, can)
        self.scope = run.books.scope_of(self.key.path)
        # A stream's place was taken when it was started: its task may run later, and at another time in a resume.
        self.places = stream.places if stream is not None and stream.places is not None else run.places(operation)
        # Children draw beside each other; a verifier's own run (below 0) draws from its own role.
        self._in_child = bool(self.key.path) and min(self.key.path) >= 0
        self._arrivals = Arrivals(operation)
        self._under_way = UnderWay()
        self._batch: Batch | None = None  # the last that was sent
        self._bounds: dict[int, int] = {}

    async def carry_out(self) -> Generated:
        """Issue, wait, collect. Raises errors that are not a sample's own (PoolMiss, a full disk, ...)."""
        self._check()
        self._replay()
        deadline = self.run.books.deadline(self.scope)
        limit = nullcontext() if deadline is None else asyncio.timeout_at(deadline)
        try:
            async with limit:
                await self._issue(deadline)
                await self._under_way.until(0)
        except TimeoutError:
            await self._under_way.stop()
            if not (isinstance(limit, asyncio.Timeout) and limit.expired()):
                raise  # a backend's own
            self._arrivals.cut = self.run.books.out_of_time(self.scope)
        except BaseException:
            await self._under_way.stop()
            if self._own_stream is not None and self._own_stream.leaving:
                self._record_left(self._own_stream)
            raise
        finally:
            self._batch = None  # it refers to this: nothing that refers to itself is left behind
        return self._arrivals.collected(self.run.name)

    def _check(self) -> None:
        operation, backend = self.operation, self.endpoint.backend
        backend.capabilities.require_logprobs(operation.logprobs, self.run.who, backend.name)
        if operation.n is None and not self.scope.bounded and self.run.books.deadline(self.scope) is None:
            raise BadInput(
                "n=None fills the budget, and there is none; give a budget such as '16 samples' or the strategy an n",
                where=self.run.who,
            )

    def _replay(self) -> None:
        """Take all that the journal holds of this operation, whether or not the samples before it arrived."""
        for row in self.run.history.samples(self.key, self.digest):
            self._arrivals.take(row)
            if row.state != "refused":
                self.places.reach(row.index + 1)

    async def _issue(self, deadline: float | None) -> None:
        arrivals, under_way, index, width = self._arrivals, self._under_way, 0, self._width()
        while arrivals.end is None or index < arrivals.end:
            if index in arrivals.rows:
                index += 1
                continue
            under_way.check()
            if self._own_stream is not None and self._own_stream.was_left:
                return
            if deadline is not None and asyncio.get_running_loop().time() >= deadline:
                await asyncio.sleep(0)  # where the deadline strikes
                continue
            if arrivals.hopeless:
                self._refuse(index, reason=_HOPELESS)
                return
            if len(under_way):
                window = self.scope.useful(max(WINDOW, 2 * self.endpoint.limiter.limit), width)
                if len(under_way) >= window:
                    await under_way.until(window // 2)
                    continue
            end = index + 1
            while end - index < width and end != arrivals.end and end not in arrivals.rows:
                end += 1
            index += await self._send(list(range(index, end)))

    def _refuse(self, index: int, **columns: Any) -> None:
        self.arrived(Row(self.key.path, self.key.seq, index, "refused", self.digest, **columns))

    async def _send(self, indices: list[int]) -> int:
        """Reserve and launch one request; returns how many samples it is for. Stops issuing when nothing fits."""
        ledger = self.endpoint.ledger
        while True:
            batch = self._batched(indices)
            try:
                grant = await ledger.reserve(self.scope, self.endpoint.ask(batch), batch.priority)
                break
            except BudgetCut as cut:
                if len(indices) > 1:
                    indices = indices[: len(indices) // 2]
                    continue
                self._refuse(indices[0], reason=str(cut), meta=cut_meta(cut))
                return 0
        self.places.reach(indices[-1] + 1)  # places that follow each other
        batch.identity = Identity(self.run.problem.id, *self.places.of(indices[0]), self.run.name, self.operation.role)
        if self._batch is None:
            self.run.history.add_operation(self.digest, self.operation)
        self._batch, count = batch, len(indices)
        request = self.endpoint.fulfil(batch, grant)
        if count == self._arrivals.end:  # all of the operation: it needs no task of its own
            await request
        else:
            # One that was cancelled before it first ran has not settled: then nothing was sent.
            self._under_way.begin(request, lambda: ledger.settle(grant, samples=0, calls=0))
        return count

    def _width(self) -> int:
        """Samples per request: more than one only where the backend shares the prompt and nothing is streamed."""
        alone = self._own_stream is not None or len(self.operation.prompts) > 1 or bool(self.operation.temperatures)
        return 1 if alone else max(1, self.endpoint.backend.capabilities.n)

    def _batched(self, indices: list[int]) -> Batch:
        run, first = self.run, indices[0]
        seeds = [seed_of(run.seed, f"{self.name}#{index}") for index in indices]
        priority = (run.ordinal, self.key.path, self.key.seq, first)
        batch = Batch(self, indices, seeds, self.operation.prompt(first), self._bound(first), priority, f"{self.name}#{first}")
        if run.history.before is not None:
            for index in indices:
                batch.costs[index] = run.history.lost(self.key, index)
        return batch

    def _bound(self, index: int) -> int:
        """Most prompt tokens of a sample; counted once for a prompt that all share."""
        at = 0 if len(self.operation.prompts) == 1 else index
        if at not in self._bounds:
            self._bounds[at] = self.endpoint.backend.prompt_bound(self.operation.prompts[at])
        return self._bounds[at]

    def _record_left(self, stream: Stream) -> None:
        """The strategy left this operation: what it had begun is final, so that a resume doesn't pay for it again."""
        batch = self._batch
        if batch is None or 0 in self._arrivals.rows:
            return
        cost = batch.costs.get(0, NOTHING)
        if cost.samples:  # the endpoint charged what had arrived as a sample
            self.arrived(row := batch.row(0, "ok", cost, text=stream.text, finish="cancelled", tokens=stream.known))
            left = row.outcome(self.run.name)
            stream.left_sample = left if isinstance(left, Sample) else None
        elif cost.calls:  # nothing had arrived: what it cost is known all the same, as no more than its prompt
            self.arrived(batch.row(0, "paid", cost))

    # What the endpoint tells and asks: see `Order`

    def sent(self, first: int, prompt: int, completion: int, usd: float | None) -> None:
        """An attempt leaves."""
        if self.stream is not None:
            self.stream.restart()
        if self.run.listener is not None:
            self.run.listener.sent(self.operation, first)
        self.run.history.add_sent(self.key.sample(first), self.digest, prompt, completion, usd)

    def spent(self, usage: Usage) -> None:
        """It was settled."""
        self.run.books.spend(usage)
        if self.run.listener is not None:
            self.run.listener.spent(self.operation, usage)

    def failed(self, first: int, error: BackendError) -> bool:
        """It failed; whether it may be repeated."""
        return self.run.listener is None or self.run.listener.attempt_failed(self.operation, first, error)

    def doomed(self) -> BackendError | None:
        """Why what was not sent yet need not be."""
        return Permanent(_HOPELESS) if self._arrivals.hopeless else None

    def arrived(self, row: Row) -> None:
        """A row of one of its samples."""
        if self._in_child and row.state in ("ok", "failed"):
            row = replace(row, meta={**row.meta, PLACE: [*self.places.of(row.index)]})
        self.run.history.add_sample(row)
        if row.state != "paid":
            if self.run.listener is not None:
                self.run.listener.arrived(self.operation, row)
            self._arrivals.add(row)
