"""One backend as all runs share it: its limiter, its retries, and the true account of every attempt.

`fulfil` turns one request for samples into rows: reserve, wait for a slot, send, settle, and again for what didn't arrive.
What samples are for, and when to stop asking, is the interpreter's.
"""

from __future__ import annotations

import asyncio
from typing import Any

from outthink.core.backend import Backend, Completion, Piece, Request
from outthink.core.budget import NOTHING, Prices, Usage
from outthink.core.errors import BackendError, BudgetCut, Lost, Permanent, Refused, Unreachable, UsageError
from outthink.runtime.accounts import lost, shares
from outthink.runtime.batch import Batch, Retry
from outthink.runtime.ledger import Ask, Grant, Ledger
from outthink.runtime.limiter import Limiter
from outthink.runtime.rows import Row, State, clean, cut_meta, packed, unpacked


class Endpoint:
    """A backend, open, with its limiter and retry rule.

    lasting: what it refuses to one run for good (a bad key, no such model) it would refuse to all: nothing more is sent
    """

    def __init__(
        self,
        backend: Backend,
        ledger: Ledger,
        *,
        concurrency: int | None = None,
        retry: Retry | None = None,
        lasting: bool = True,
    ) -> None:
        self.backend, self.ledger = backend, ledger
        self.retry = retry or Retry()
        self._concurrency, self._lasting = concurrency, lasting
        self.limiter = Limiter(concurrency)
        self.broken: Permanent | None = None
        self._answers = 0  # completions so far

    async def open(self) -> None:
        """Open the backend; its own number of slots is the limit where the user gave none."""
        await self.backend.open()
        self.limiter = Limiter(self._concurrency or self.backend.capabilities.slots)

    @property
    def prices(self) -> Prices | None:
        """Money per token, where known."""
        return self.backend.prices

    def ask(self, batch: Batch) -> Ask:
        """What an attempt at the whole batch reserves."""
        return Ask(len(batch.indices), batch.bound, batch.settings.max_tokens, self.prices)

    async def fulfil(self, batch: Batch, grant: Grant) -> None:
        """Attempt until every sample arrived or failed for good.

        The grant covers the first attempt. Failures are told through `Order.arrived`. Raises what would meet every further
        request too (a bad key, no such model, no server), so that a run can go on later; being cancelled settles what was
        under way.
        """
        try:
            await self._attempts(batch, grant)
        except BackendError as error:
            self._tell(batch, "paid", str(error))
            raise

    async def _attempts(self, batch: Batch, grant: Grant) -> None:
        answers, met = self._answers, False
        for attempt in range(1, self.retry.attempts + 1):
            try:
                completion, seconds = await self._attempt(batch, grant)
                missing = self._took(batch, completion, grant, seconds)
                if missing is None:
                    return
                error: BackendError = missing
            except BackendError as raised:
                error = raised.with_traceback(None)  # this frame is in it, and would keep it, and be kept by it
            if error is self.broken:
                raise error
            last = attempt == self.retry.attempts
            met = met or not isinstance(error, Refused) or error.status is not None
            if last and self._lasting and not met and self._answers == answers:
                raise Unreachable(f"{error} ({attempt} attempts, and nobody else was answered meanwhile)") from None
            again = batch.order.failed(batch.indices[0], error)
            if last or not (again and error.retryable):
                times = f" (after {attempt} attempts)" if error.retryable and attempt > 1 else ""
                self._tell(batch, "failed", f"{error}{times}")
                return
            try:
                await asyncio.sleep(self.retry.delay(attempt, error, batch.name))
                grant = await self.ledger.reserve(batch.order.scope, self.ask(batch), batch.priority)
            except BudgetCut as cut:
                self._tell(batch, "failed", f"{error}; {cut}, so it was not tried again", meta=cut_meta(cut))
                return
            except asyncio.CancelledError:
                self._tell(batch, "paid", str(error))
                raise

    async def _attempt(self, batch: Batch, grant: Grant) -> tuple[Completion, float]:
        """One attempt: wait for a slot, send, and settle whatever comes of it unless it is a completion.

        Returns the completion and the seconds it took.
        """
        on_the_wire = False
        order, stream = batch.order, batch.order.stream
        try:
            permit = await self.limiter.acquire(batch.priority[0])
            with permit:
                if (hopeless := self.broken or order.doomed()) is not None:
                    self.ledger.settle(grant, samples=0, calls=0)
                    raise hopeless
                completion_bound = len(batch.indices) * grant.max_tokens
                usd = None if self.prices is None else self.prices.usd(batch.bound, 0, completion_bound)
                order.sent(batch.indices[0], batch.bound, completion_bound, usd)
                on_the_wire = True
                sampling = batch.settings
                if grant.max_tokens != sampling.max_tokens:
                    sampling = sampling.but(max_tokens=grant.max_tokens)
                need, timeout = order.operation.logprobs, self.retry.timeout
                watch, looked_at = (None, False) if stream is None else (stream.watch, stream.watched)
                request = Request(batch.prompt, sampling, batch.seeds, need, watch, timeout, batch.identity, looked_at)
                clock = asyncio.get_running_loop().time
                started = clock()
                try:
                    completion = await self.backend.complete(request)
                except Refused as error:
                    if error.overloaded or error.retry_after is not None:
                        permit.overload(error.retry_after)
                    self._settle_failed(batch, grant, self._refused())
                    raise
                except Permanent as error:
                    if error.hopeless and self._lasting:
                        self.broken = error
                    self._settle_failed(batch, grant, self._refused())
                    raise
                except Lost as error:
                    if error.status in (503, 504) or error.retry_after is not None:
                        permit.overload(error.retry_after)
                    self._settle_failed(batch, grant, self._lost(grant, error))
                    raise
                taken = completion.seconds if completion.seconds is not None else clock() - started
                self._answers += 1
                permit.succeed(max(1.0, float(completion.completion_tokens or 1)))
                return completion, taken
        except BackendError:
            raise
        except BaseException as error:
            if on_the_wire and not isinstance(error, UsageError):  # a third party's backend may raise anything
                seen = 0 if stream is None else stream.tokens
                exact = stream is not None and stream.exact and isinstance(error, asyncio.CancelledError)
                usage = lost(grant, None, seen, exact=exact, prices=self.prices)
                self._settle_failed(batch, grant, usage._replace(samples=int(stream is not None and stream.left)))
            else:
                self.ledger.settle(grant, samples=0, calls=0)
            raise

    def _took(self, batch: Batch, completion: Completion, grant: Grant, seconds: float) -> BackendError | None:
        """Settle a completion and tell its samples; returns why the rest is missing, if any is."""
        pieces = completion.pieces[: len(batch.indices)]
        usages = shares(completion, pieces, grant, self.prices, seconds)
        total = usages[0] if len(usages) == 1 else sum(usages[1:], usages[0])
        self.ledger.settle(
            grant,
            samples=sum(piece.failed is None for piece in pieces),
            prompt=total.prompt_tokens,
            cached=total.cached_tokens,
            completion=total.completion_tokens,
            unknown_prompt=total.unknown_prompt_tokens,
            unknown_completion=total.unknown_completion_tokens,
        )
        batch.order.spent(total)
        asked, reason = len(batch.indices), ""
        if not pieces:
            batch.cost(total)
        for index, piece, usage in zip(list(batch.indices), pieces, usages, strict=False):
            cost = batch.costs[index] + usage if index in batch.costs else usage
            if piece.failed is not None:
                batch.costs[index], reason = cost, piece.failed
                batch.order.arrived(batch.row(index, "paid", cost))  # its request may have been noted under a sibling
                continue
            batch.take(index)
            batch.order.arrived(_arrived_row(batch, index, piece, cost, grant.max_tokens))
        return Lost(reason or f"the server sent {len(pieces)} of {asked} samples") if batch.indices else None

    def _refused(self) -> Usage:
        return Usage(calls=1, usd=None if self.prices is None else 0.0)

    def _lost(self, grant: Grant, error: Lost) -> Usage:
        return lost(grant, error.prompt_tokens, error.completion_tokens or 0, exact=False, prices=self.prices)

    def _settle_failed(self, batch: Batch, grant: Grant, usage: Usage) -> None:
        self.ledger.settle(
            grant,
            samples=usage.samples,
            prompt=usage.prompt_tokens,
            completion=usage.completion_tokens,
            unknown_prompt=usage.unknown_prompt_tokens,
            unknown_completion=usage.unknown_completion_tokens,
        )
        batch.order.spent(usage)
        batch.cost(usage)

    def _tell(self, batch: Batch, state: State, reason: str, **columns: Any) -> None:
        """What is still missing won't come."""
        for index in batch.indices:
            batch.order.arrived(batch.row(index, state, batch.costs.get(index, NOTHING), reason=clean(reason), **columns))
        batch.indices.clear()


def _arrived_row(batch: Batch, index: int, piece: Piece, cost: Usage, max_tokens: int) -> Row:
    need = batch.order.operation.logprobs
    # As a journal holds them, so that a resume decides on the same numbers.
    kept = unpacked(packed(piece.logprobs)) if piece.logprobs is not None and need is not None and need.keep else None
    # What differs from sample to sample is told by the sample, so that a pool can be made of it.
    own = {"temperature": batch.order.operation.settings(index).temperature} if batch.order.operation.temperatures else {}
    summary = piece.logprobs.summary(0 if need is None else need.window) if piece.logprobs is not None else piece.summary
    meta = {**piece.meta, **own} if own else piece.meta
    return batch.row(
        index, "ok", cost, text=clean(piece.text), finish=piece.finish.value, tokens=piece.tokens, max_tokens=max_tokens,
        summary=summary, meta=meta, logprobs=kept,
    )  # fmt: skip
