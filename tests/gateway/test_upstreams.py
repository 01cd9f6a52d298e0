"""Several upstreams as one backend: shares, failover, breakers, health, and accounts that stay true through all of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outthink import catalogue
from outthink.core.backend import Backend, Completion, Delta, Identity, Piece, Request
from outthink.core.budget import Budget, Prices
from outthink.core.capability import Capabilities
from outthink.core.errors import BackendError, Lost, Permanent, Refused, UsageError
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.prompt import Prompt
from outthink.core.sample import Finish
from outthink.core.sampling import Sampling
from outthink.gateway import health
from outthink.gateway.breaker import Breaker, State
from outthink.gateway.config import Health
from outthink.gateway.upstream import Upstream, common
from outthink.gateway.upstreams import UpstreamPool
from outthink.runtime.clock import run_virtually
from outthink.runtime.endpoint import Endpoint
from outthink.runtime.interpreter import Interpreter
from outthink.runtime.journal import Journal
from outthink.runtime.ledger import Ledger, Scope
from outthink.runtime.limiter import Limiter
from outthink.runtime.spec import Bindings, RunSpec
from outthink.tasks.exact import ExactTask
from outthink.testing.fake_server import FakeServer, FakeSettings
from tests.gateway.asking import Clock

QUICK = Health(
    every_seconds=1.0, timeout_seconds=0.5, failures=3, open_seconds=2.0, longest_open_seconds=16.0, patience_seconds=5.0
)


class Scripted:
    """A backend that does what the test says: `outcome` is an answer's text or an error, `seconds` how long it takes."""

    def __init__(self, name: str, capabilities: Capabilities | None = None) -> None:
        self.name, self.prices = f"http://{name}/v1#m", None
        self.capabilities = capabilities or Capabilities(stream=True, cancel=True)
        self.outcome: str | BackendError | Callable[[], Any] = "4"
        self.opening: Exception | None = None
        self.seconds, self.calls, self.cancelled, self.opened, self.closed = 0.01, 0, 0, 0, 0

    async def open(self) -> None:
        self.opened += 1
        if self.opening is not None:
            raise self.opening

    async def close(self) -> None:
        self.closed += 1

    def prompt_bound(self, prompt: Prompt) -> int:
        return 20 + len(self.name)

    async def complete(self, request: Request) -> Completion:
        self.calls += 1
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        outcome = self.outcome() if callable(self.outcome) else self.outcome
        if isinstance(outcome, BackendError):
            raise outcome
        if request.watch is not None:
            request.watch(Delta(outcome, 1))
        return Completion(tuple(Piece(outcome, Finish.EOS, 5) for _ in request.seeds), 10, 5 * len(request.seeds))


def pool_of(*backends: Scripted, weights: list[float] | None = None, **more: Any) -> UpstreamPool:
    health = more.pop("health", QUICK)
    ups = [
        Upstream(f"u{i}", lambda each=each: each, weight=weight, concurrency=more.get("concurrency", 64), health=health)  # type: ignore[misc]
        for i, (each, weight) in enumerate(zip(backends, weights or [1.0] * len(backends), strict=True))
    ]
    more.pop("concurrency", None)
    return UpstreamPool("qwen", ups, health=health, rng=random.Random(1), **more)


def request(ordinal: int = 0, **more: Any) -> Request:
    return Request(Prompt.chat("2+2?"), Sampling(), (1,), identity=Identity("p", ordinal, ordinal, "r"), **more)


def gone() -> Refused:
    return Refused("no connection", overloaded=True)


async def ask(pool: UpstreamPool, ordinal: int, **more: Any) -> Completion | BackendError:
    try:
        return await pool.complete(request(ordinal, **more))
    except BackendError as error:
        return error


def test_the_load_follows_the_weights_at_rest_and_under_load() -> None:
    async def main(together: int) -> tuple[int, int]:
        heavy, light = Scripted("a"), Scripted("b")
        pool = pool_of(heavy, light, weights=[3.0, 1.0])
        await pool.open()
        for start in range(0, 1200, together):
            await asyncio.gather(*(pool.complete(request(start + i)) for i in range(together)))
        return heavy.calls, light.calls

    for together in (1, 48):
        heavy, light = run_virtually(main(together))
        assert heavy / (heavy + light) == pytest.approx(0.75, abs=0.05), together


def test_a_slow_upstream_gets_less() -> None:
    async def main() -> tuple[int, int]:
        quick, slow = Scripted("a"), Scripted("b")
        slow.seconds = 0.2
        pool = pool_of(quick, slow, concurrency=8)
        await pool.open()
        limit = asyncio.Semaphore(12)

        async def one(ordinal: int) -> None:
            async with limit:
                await pool.complete(request(ordinal))

        await asyncio.gather(*(one(i) for i in range(1000)))
        return quick.calls, slow.calls

    quick, slow = run_virtually(main())
    assert quick > 2 * slow


@pytest.mark.parametrize(
    "error", [gone, lambda: Lost("500", status=500), lambda: Refused("429", status=429), lambda: Permanent("bad key", status=401)]
)
def test_a_failure_goes_at_once_to_another_upstream(error: Callable[[], BackendError]) -> None:
    async def main() -> None:
        bad, good = Scripted("a"), Scripted("b")
        bad.outcome = error
        pool = pool_of(bad, good)
        await pool.open()
        for ordinal in range(20):
            answer = await ask(pool, ordinal)
            if isinstance(answer, BackendError):
                assert answer.retryable
                assert answer.retry_after == 0.0
                assert not getattr(answer, "overloaded", False)
                answer = await ask(pool, ordinal)
            assert isinstance(answer, Completion), answer
        assert good.calls == 20
        assert not pool._failed  # what was answered is not remembered

    run_virtually(main())


def test_a_wrong_request_is_nobodys_fault_and_isnt_repeated() -> None:
    async def main() -> None:
        bad, good = Scripted("a"), Scripted("b")
        bad.outcome = good.outcome = Permanent("messages: too long", status=400)
        pool = pool_of(bad, good)
        await pool.open()
        for ordinal in range(20):
            answer = await ask(pool, ordinal)
            assert isinstance(answer, Permanent)
            assert answer.status == 400
        assert {each.breaker.state for each in pool.upstreams} == {State.CLOSED}

    run_virtually(main())


def test_once_text_was_delivered_nothing_is_repeated_at_once() -> None:
    async def main() -> None:
        bad, good = Scripted("a"), Scripted("b")
        pool = pool_of(bad, good)
        await pool.open()

        async def broken(request: Request) -> Completion:
            assert request.watch is not None
            request.watch(Delta("The ans", 2))
            raise Lost("the connection broke", completion_tokens=2, prompt_tokens=10)

        bad.complete = good.complete = broken  # type: ignore[method-assign]
        answer = await ask(pool, 0, watch=lambda delta: False)
        assert isinstance(answer, Lost)
        assert (answer.retry_after, answer.completion_tokens, answer.prompt_tokens) == (None, 2, 10)

    run_virtually(main())


def test_the_breaker_opens_tries_once_and_doubles() -> None:
    clock = Clock(0.0)
    breaker = Breaker(QUICK, clock)
    for _ in range(2):
        breaker.fail("500")
    breaker.succeed()
    for _ in range(2):
        breaker.fail("500")
    assert breaker.state is State.CLOSED  # not in a row
    breaker.fail("500")
    opened = []
    for _ in range(6):
        assert (breaker.state, breaker.allows) == (State.OPEN, False)
        breaker.fail("late")  # was under way when it opened
        opened.append(breaker.opens_in)
        clock.now += breaker.opens_in
        assert (breaker.state, breaker.allows) == (State.HALF_OPEN, True)
        breaker.begin()
        assert not breaker.allows  # one trial at a time
        breaker.leave()
        assert breaker.allows  # a trial that was cancelled taught nothing
        breaker.begin()
        breaker.fail("500")
    assert opened == [2, 4, 8, 16, 16, 16]
    clock.now += 16
    breaker.begin()
    breaker.succeed()
    assert (breaker.state, breaker.allows) == (State.CLOSED, True)
    breaker.fail("bad key", at_once=True)
    assert breaker.state is State.OPEN
    assert breaker.opens_in == 2


def test_with_all_out_a_request_waits_if_that_is_soon_and_fails_otherwise() -> None:
    async def main() -> None:
        a, b = Scripted("a"), Scripted("b")
        a.outcome = b.outcome = gone
        pool = pool_of(a, b)
        await pool.open()
        assert pool.ready
        for ordinal in range(6):
            await ask(pool, ordinal)
        assert not pool.ready
        calls, clock = a.calls + b.calls, asyncio.get_running_loop().time
        a.outcome = b.outcome = "4"
        began = clock()
        answers = await asyncio.gather(*(ask(pool, ordinal) for ordinal in range(20)))
        assert all(isinstance(answer, Completion) for answer in answers)
        assert clock() - began == pytest.approx(2.1, abs=0.2)  # as long as the breakers were open
        assert a.calls + b.calls == calls + 20
        a.outcome = b.outcome = gone
        for ordinal in range(100, 130):
            await ask(pool, ordinal)
            await asyncio.sleep(1)
        calls, began = a.calls + b.calls, clock()
        answer = await ask(pool, 102)
        assert isinstance(answer, Permanent)
        assert (answer.status, answer.hopeless, clock() - began) == (503, False, 0)
        assert "u0: no connection; u1: no connection" in str(answer)
        assert a.calls + b.calls == calls  # nothing was sent
        assert pool.unsent >= 1

    run_virtually(main())


def test_a_pool_can_do_what_all_its_upstreams_can() -> None:
    first = Capabilities(raw=True, n=8, seed=True, logprobs=20, prefix=True, stream=True, slots=4, context=8192, vocabulary=100)
    second = Capabilities(raw=False, n=1, seed=True, logprobs=-1, prefix=True, stream=True, slots=2, context=4096, vocabulary=100)
    both = common([first, second])
    assert (both.raw, both.n, both.seed, both.logprobs, both.prefix, both.slots, both.context) == (
        False,
        1,
        False,
        -1,
        True,
        6,
        4096,
    )
    assert common([first]) == first
    numbers = Capabilities(rewards=True)
    assert [common(each).rewards for each in ([numbers], [numbers] * 2, [numbers, first])] == [True, True, False]
    assert common([first, Capabilities()]).slots is None


def test_what_a_late_upstream_cant_do_isnt_sent_to_it() -> None:
    async def main() -> None:
        able, unable = Scripted("a", Capabilities(logprobs=5, stream=True)), Scripted("b", Capabilities(logprobs=-1))
        unable.opening = gone()
        pool = pool_of(able, unable)
        await pool.open()
        assert pool.capabilities.logprobs == 5
        unable.opening = None
        await health.check("qwen", pool.upstreams[1], QUICK)
        assert pool.capabilities.logprobs == -1
        for ordinal in range(10):
            await pool.complete(request(ordinal, logprobs=LogprobNeed(3)))
        assert unable.calls == 0

    run_virtually(main())


def test_an_upstream_that_isnt_there_at_the_start_is_opened_when_it_comes() -> None:
    async def main() -> None:
        late, told = Scripted("a"), []
        late.opening = gone()
        pool = pool_of(late)
        await pool.open()
        assert not pool.ready
        watcher = asyncio.create_task(health.watch(pool, lambda *each: told.append(each)))
        await asyncio.sleep(5)
        late.opening = None
        await asyncio.sleep(3)
        assert pool.ready
        assert isinstance(await ask(pool, 0), Completion)
        assert told == [("qwen", "u0", True, "")]
        watcher.cancel()

    run_virtually(main())


def test_what_waiting_cant_mend_is_told_at_once() -> None:
    async def main() -> None:
        fine, wrong = Scripted("a"), Scripted("b")
        wrong.opening = UsageError("name a model")
        pool = pool_of(fine, wrong)
        with pytest.raises(UsageError, match="name a model"):
            await pool.open()
        assert fine.closed == 1

    run_virtually(main())


def test_what_no_upstream_can_do_is_refused_by_one_at_once() -> None:
    async def main() -> None:
        raw = Scripted("a", Capabilities(chat=False))
        raw.outcome = Permanent("it has no chat template", status=400)
        pool = pool_of(raw)
        await pool.open()
        began = asyncio.get_running_loop().time()
        with pytest.raises(Permanent, match="no chat template") as raised:
            await pool.complete(request())
        assert raised.value.status == 400
        assert asyncio.get_running_loop().time() - began == pytest.approx(raw.seconds)  # on the virtual clock

    run_virtually(main())


def test_being_cancelled_frees_the_upstream_and_blames_nobody() -> None:
    async def main() -> None:
        slow = Scripted("a")
        slow.seconds = 100.0
        pool = pool_of(slow, concurrency=1)
        await pool.open()
        tasks = [asyncio.create_task(pool.complete(request(i))) for i in range(50)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        limiter = pool.upstreams[0].limiter
        assert (limiter.in_flight, limiter.waiting, slow.calls, slow.cancelled) == (0, 0, 1, 1)
        assert pool.upstreams[0].breaker.state is State.CLOSED

    run_virtually(main())


def test_memory_of_failures_is_bounded() -> None:
    async def main() -> None:
        bad = Scripted("a")
        bad.outcome, bad.seconds = lambda: Refused("429", status=429), 0.0
        pool = pool_of(bad)
        await pool.open()
        for ordinal in range(5000):
            await ask(pool, ordinal)
        assert len(pool._failed) <= 4096

    run_virtually(main())


outcomes = st.lists(st.sampled_from(["ok", "ok", "ok", "refused", "429", "lost", "401"]), min_size=1, max_size=40)


@settings(max_examples=30, deadline=None)
@given(scripts=st.lists(outcomes, min_size=1, max_size=3), n=st.integers(1, 12))
def test_a_runs_usage_is_what_the_upstreams_saw(scripts: list[list[str]], n: int) -> None:
    """Every call of every upstream is in the account of the run, whatever failed over to whom."""
    made: dict[str, Callable[[], Any]] = {
        "ok": lambda: "4",
        "refused": gone,
        "429": lambda: Refused("busy", status=429, overloaded=True, retry_after=0.01),
        "lost": lambda: Lost("500", status=500),
        "401": lambda: Permanent("bad key", status=401),
    }

    async def main() -> None:
        backends, seen = [], Counter[str]()
        for i, script in enumerate(scripts):
            backend, left = Scripted(f"h{i}"), iter(script)

            def next_outcome(left: Any = left) -> Any:
                kind = next(left, "ok")
                seen[kind] += 1
                return made[kind]()

            backend.outcome = next_outcome
            backends.append(backend)
        pool, ledger = pool_of(*backends, prices=Prices(1.0, 1.0)), Ledger()
        endpoint = Endpoint(pool, ledger, concurrency=64, lasting=False)
        await endpoint.open()
        endpoint.limiter = Limiter(pool.concurrency)
        day = Scope("daily", Budget(tokens=1_000_000))
        spec = RunSpec("r", "majority", Problem("2+2?", id="p"), parameters={"n": n})
        bindings = Bindings(ExactTask(), {"generator": endpoint})
        run = Interpreter(spec, catalogue.strategy("majority"), bindings, ledger=ledger, journal=Journal(None), around=day)
        result = await run.run()
        assert sum(backend.calls for backend in backends) == sum(seen.values())
        assert result.usage.calls == sum(seen.values()) + pool.unsent
        assert result.usage.samples == seen["ok"] == len(result.samples)
        assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (10 * seen["ok"], 5 * seen["ok"])
        assert (result.usage.unknown_completion_tokens > 0) == (seen["lost"] > 0)
        assert day.used[4] == result.usage.most_tokens
        assert day.reserved == [0] * 6
        assert {each.limiter.in_flight for each in pool.upstreams} == {0}

    run_virtually(main())


async def test_a_real_server_that_dies_is_replaced_and_comes_back() -> None:
    from outthink.backends.openai import OpenAIBackend
    from outthink.backends.openai.address import Secret

    told: list[tuple[str, bool]] = []
    first, second = FakeServer(FakeSettings()), FakeServer(FakeSettings())
    await first.open()
    await second.open()
    port = first.port

    patient = replace(QUICK, timeout_seconds=30.0)  # who is well may be slow

    def upstream(name: str, url: str) -> Upstream:
        def make() -> Backend:
            return OpenAIBackend(url, key=Secret(""))

        return Upstream(name, make, health=patient, concurrency=8)

    both = [upstream("a", first.url), upstream("b", second.url)]
    pool = UpstreamPool("fake", both, health=patient, rng=random.Random(1))
    await pool.open()
    try:
        for ordinal in range(8):
            await pool.complete(request(ordinal))
        assert first.accounts.requests
        assert second.accounts.requests
        await first.close()
        for ordinal in range(10, 40):
            answer = await ask(pool, ordinal)
            if isinstance(answer, BackendError):
                assert answer.retry_after == 0.0
                assert isinstance(await ask(pool, ordinal), Completion)
        for _ in range(4):  # at the first it is known that a call was answered lately
            await health.check("fake", pool.upstreams[0], patient, lambda model, name, up, why: told.append((name, up)))
        assert not pool.upstreams[0].ready
        first = FakeServer(FakeSettings())
        await first.open(port)
        await health.check("fake", pool.upstreams[0], patient, lambda model, name, up, why: told.append((name, up)))
        assert told == [("a", False), ("a", True)]
        assert pool.upstreams[0].ready
        for ordinal in range(50, 66):
            assert isinstance(await ask(pool, ordinal), Completion)
        assert first.accounts.requests
    finally:
        await pool.close()
        await first.close()
        await second.close()
