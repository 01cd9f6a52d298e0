"""The limiter on a virtual clock: nothing here waits, and every schedule repeats."""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outthink.runtime.limiter import Limiter


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__(Jumping(self))
        self.clock = 0.0

    def time(self) -> float:
        return self.clock


class Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits and nobody will ever wake them")
        self.loop.clock += timeout
        return super().select(0)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


async def hold(limiter: Limiter, seconds: float, priority: int = 0) -> None:
    with await limiter.acquire(priority):
        assert limiter.in_flight <= limiter.limit
        await asyncio.sleep(seconds)


# --- slots --------------------------------------------------------------------------------------------------------


def test_ten_thousand_waiters_are_served_oldest_run_first() -> None:
    async def main() -> None:
        limiter, served = Limiter(1), []

        async def one(priority: int, arrival: int) -> None:
            with await limiter.acquire(priority):
                served.append((priority, arrival))

        first = await limiter.acquire()
        tasks = [asyncio.create_task(one(random.Random(n).randrange(50), n)) for n in range(10_000)]
        await asyncio.sleep(0)
        assert limiter.waiting == 10_000
        first.release()
        await asyncio.gather(*tasks)
        assert served == sorted(served)
        assert (limiter.in_flight, limiter.waiting) == (0, 0)

    run(main())


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 6), st.none() | st.integers(0, 12)), max_size=40),
)
def test_cancelled_waiters_leak_nothing(limit: int, jobs: list[tuple[int, int, int, int | None]]) -> None:
    """Jobs: priority, when to ask, how long to hold, when to be cancelled: before, while or after holding the slot."""

    async def main() -> None:
        limiter = Limiter(limit)

        async def job(priority: int, begin: int, length: int) -> None:
            await asyncio.sleep(begin)
            await hold(limiter, length, priority)

        tasks = []
        for priority, begin, length, end in jobs:
            task = asyncio.create_task(job(priority, begin, length))
            if end is not None:
                asyncio.get_running_loop().call_later(end, task.cancel)
            tasks.append(task)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (limiter.in_flight, limiter.waiting) == (0, 0)
        await asyncio.gather(*(hold(limiter, 1) for _ in range(limit)))  # all slots are still there

    run(main())


def test_a_slot_granted_to_a_task_that_is_cancelled_in_the_same_moment_goes_on() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        held = await limiter.acquire()
        loser = asyncio.create_task(hold(limiter, 1))
        winner = asyncio.create_task(hold(limiter, 1))
        await asyncio.sleep(0)
        held.release()  # grants to the loser, who hasn't run since
        loser.cancel()
        await winner
        assert loser.cancelled()
        assert limiter.in_flight == 0

    run(main())


def test_a_slot_given_back_while_the_only_waiter_is_cancelled_is_there_for_the_next() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        held = await limiter.acquire()
        waiter = asyncio.create_task(hold(limiter, 1))
        await asyncio.sleep(0)
        waiter.cancel()
        next_one = asyncio.create_task(hold(limiter, 1))
        held.release()  # the waiter still counts as waiting: it has not run since it was cancelled
        late = asyncio.create_task(hold(limiter, 1))
        await asyncio.gather(next_one, late)
        assert waiter.cancelled()
        assert (limiter.in_flight, limiter.waiting) == (0, 0)

    run(main())


def test_who_asks_behind_a_waiter_that_was_just_cancelled_is_served() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        held = await limiter.acquire()
        waiter = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        behind = asyncio.create_task(hold(limiter, 1))
        waiter.cancel()
        held.release()
        await behind  # nobody holds a slot that could be given back
        assert (limiter.in_flight, limiter.waiting) == (0, 0)

    run(main())


def test_a_cancel_storm_frees_its_memory() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        held = await limiter.acquire()
        for _ in range(20):
            storm = [asyncio.create_task(hold(limiter, 1)) for _ in range(500)]
            await asyncio.sleep(0)
            for task in storm:
                task.cancel()
            await asyncio.gather(*storm, return_exceptions=True)
        assert limiter.waiting == 0
        assert len(limiter._queue) < 100
        held.release()

    run(main())


def test_giving_back_twice_gives_one_slot() -> None:
    async def main() -> None:
        limiter = Limiter(1)
        with await limiter.acquire() as permit:
            permit.release()
            assert limiter.in_flight == 0
        assert limiter.in_flight == 0

    run(main())


@pytest.mark.parametrize(("asked", "paused"), [(7.0, 7.0), (1e9, 300.0), (-1.0, 0.0), (float("nan"), 0.0)])
def test_retry_after_pauses_the_endpoint_for_everyone(asked: float, paused: float) -> None:
    async def main() -> None:
        limiter = Limiter(4)
        waiter = asyncio.create_task(hold(limiter, 0, 1))
        with await limiter.acquire() as permit:
            permit.overload(asked)
        await asyncio.gather(waiter, hold(limiter, 0, 0))
        assert asyncio.get_running_loop().time() == pytest.approx(paused, abs=1e-3)

    run(main())


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limiter(0)


# --- the search ---------------------------------------------------------------------------------------------------


class Server:
    """`capacity` slots of speed 100 tokens/s. Beyond them, calls are refused (hard) or wait in line (soft)."""

    def __init__(self, capacity: int, hard: bool, seed: int, spread: float) -> None:
        self.capacity, self.hard, self.spread = capacity, hard, spread
        self.random = random.Random(seed)
        self.busy = self.refusals = 0
        self.tokens = 0.0
        self.line = asyncio.Semaphore(capacity)

    async def call(self) -> float | None:
        tokens = 100 * self.random.lognormvariate(0, self.spread)
        if self.hard and self.busy >= self.capacity:
            self.refusals += 1
            await asyncio.sleep(0.01)
            return None
        async with self.line:
            self.busy += 1
            await asyncio.sleep(0.05 + tokens / 100)
            self.busy -= 1
        self.tokens += tokens
        return tokens


async def load(limiter: Limiter, server: Server, seconds: float, tasks: int = 2000) -> float:
    """Calls without end from many tasks; the tokens per second over those `seconds`."""

    async def one() -> None:
        while True:
            with await limiter.acquire() as permit:
                tokens = await server.call()
                permit.overload() if tokens is None else permit.succeed(tokens)
            if tokens is None:
                await asyncio.sleep(0.1)

    before = server.tokens
    running = [asyncio.create_task(one()) for _ in range(tasks)]
    await asyncio.sleep(seconds)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    server.busy = 0
    return (server.tokens - before) / seconds


@pytest.mark.parametrize("spread", [0.0, 1.0])
@pytest.mark.parametrize("hard", [True, False])
@pytest.mark.parametrize("capacity", [3, 24, 200])
def test_the_search_keeps_a_server_saturated_and_no_more(capacity: int, hard: bool, spread: float) -> None:
    async def main() -> None:
        limiter, server = Limiter(), Server(capacity, hard, seed=capacity, spread=spread)
        await load(limiter, server, 60 if spread == 0 else 100)
        refused = server.refusals
        rate = await load(limiter, server, 100)
        most = 100 * capacity  # tokens per second of all slots, the overhead of a call left out
        assert rate > 0.8 * most
        assert limiter.limit <= (1.1 * capacity + 1 if hard else 3 * capacity + 8)
        assert server.refusals - refused < 0.05 * server.tokens / 100
        assert limiter.in_flight == limiter.waiting == 0

    run(main())


def test_the_search_follows_a_server_that_shrinks_fails_and_comes_back() -> None:
    async def main() -> None:
        limiter, server = Limiter(), Server(64, hard=True, seed=1, spread=0.5)
        await load(limiter, server, 60)
        server.capacity = 8
        await load(limiter, server, 60)
        assert 6 <= limiter.limit <= 10
        server.capacity = 0
        await load(limiter, server, 60)
        assert limiter.limit == 1
        server.capacity, server.line = 64, asyncio.Semaphore(64)
        await load(limiter, server, 60)
        assert 48 <= limiter.limit <= 72

    run(main())


def test_a_load_that_does_not_fill_the_limit_teaches_nothing() -> None:
    async def main() -> None:
        limiter, server = Limiter(start=8), Server(64, hard=True, seed=1, spread=0.5)
        await load(limiter, server, 60, tasks=5)
        assert limiter.limit == 8

    run(main())


async def test_a_pause_whose_timer_went_off_early_ends_all_the_same() -> None:
    limiter = Limiter(1)
    limiter.pause(0.02)
    assert limiter._timer is not None
    limiter._timer.cancel()
    limiter._resume()  # a loop fires its timers up to its clock's resolution early, and nobody waits yet
    async with asyncio.timeout(30):
        (await limiter.acquire()).release()
