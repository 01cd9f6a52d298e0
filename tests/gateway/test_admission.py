"""The door: who is let in, in which order, and what those are told who are not."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.budget import Budget
from outthink.gateway.admission import Admission
from outthink.gateway.config import Limits
from outthink.gateway.keys import Client
from outthink.gateway.rates import Rates
from outthink.gateway.refusal import Refusal
from outthink.gateway.spending import Spending
from outthink.runtime.clock import run_virtually
from tests.gateway.asking import Clock, asked, client


def door(spending: Spending | None = None, **limits: Any) -> Admission:
    return Admission(Limits(**{"at_once": 2, "queue": 3, "queue_seconds": 5.0, **limits}), spending or Spending(None))


async def refusal(admission: Admission, caller: Client) -> Refusal:
    with pytest.raises(Refusal) as refused:
        async with admission.place(asked(caller)):
            pass
    return refused.value


def test_overload_is_a_429_with_advice_and_never_a_longer_queue() -> None:
    async def main() -> None:
        admission, spending = door(), Spending(None)
        entered, release = Counter[str](), asyncio.Event()

        async def one() -> None:
            try:
                async with admission.place(asked(client(spending))):
                    entered["in"] += 1
                    await release.wait()
            except Refusal as refused:
                advised = int(refused.headers()["Retry-After"]) >= 1
                entered["refused"] += (refused.status, refused.code, advised) == (429, "overloaded", True)

        tasks = [asyncio.create_task(one()) for _ in range(1000)]
        await asyncio.sleep(1)
        assert entered == {"in": 2, "refused": 995}
        assert (admission.under_way, admission.waiting) == (2, 3)
        release.set()
        await asyncio.gather(*tasks)
        assert entered == {"in": 5, "refused": 995}
        assert (admission.under_way, admission.waiting, admission._of_key, admission._queues) == (0, 0, {}, {})

    run_virtually(main())


def test_who_waits_too_long_is_told_so_and_leaves_no_trace() -> None:
    async def main() -> None:
        admission, spending = door(at_once=1), Spending(None)
        caller = client(spending)
        async with admission.place(asked(caller)):
            loop = asyncio.get_running_loop()
            began = loop.time()
            refused = await refusal(admission, caller)
            assert loop.time() - began == pytest.approx(5)
            assert "within 5 s" in str(refused)
        assert (admission.under_way, admission.waiting, caller.day.requests) == (0, 0, 0)

    run_virtually(main())


@pytest.mark.parametrize("others", [0, 1, 3])
def test_who_leaves_the_queue_in_the_moment_of_its_turn_harms_nobody(others: int) -> None:
    async def main() -> None:
        admission, spending = door(at_once=1, queue=10), Spending(None)
        entered: list[int] = []

        async def one(number: int) -> None:
            async with admission.place(asked(client(spending))):
                entered.append(number)
                await asyncio.sleep(0.1)

        async with admission.place(asked(client(spending))):
            tasks = [asyncio.create_task(one(number)) for number in range(1 + others)]
            await asyncio.sleep(0.1)
            tasks[0].cancel()  # it hears of that in the next turn of the loop; the place comes free in this one
        await asyncio.gather(*tasks, return_exceptions=True)
        assert entered == list(range(1, 1 + others))
        assert (admission.under_way, admission.waiting, admission._of_key, admission._queues) == (0, 0, {}, {})

    run_virtually(main())


def test_keys_take_turns_whatever_one_of_them_has_waiting() -> None:
    async def main() -> None:
        admission, spending = door(at_once=1, queue=100), Spending(None)
        greedy, modest = client(spending, "greedy"), client(spending, "modest")
        order = []

        async def one(caller: Client) -> None:
            async with admission.place(asked(caller)):
                order.append(caller.name)
                await asyncio.sleep(0.01)

        async with asyncio.TaskGroup() as group:
            for caller in [greedy] * 20 + [modest] * 3:
                group.create_task(one(caller))
                await asyncio.sleep(0)
        assert order[:7] == ["greedy", "greedy", "modest", "greedy", "modest", "greedy", "modest"]
        assert len(order) == 23

    run_virtually(main())


def test_a_storm_of_cancellations_loses_no_place() -> None:
    async def main() -> None:
        admission, spending, rng = door(at_once=3, queue=50), Spending(None), random.Random(0)
        callers = [client(spending, f"k{i}") for i in range(4)]

        async def one() -> None:
            try:
                async with admission.place(asked(rng.choice(callers))):
                    assert admission.under_way <= 3
                    await asyncio.sleep(rng.random() * 0.01)
            except Refusal:
                pass

        tasks = []
        for _ in range(600):
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(rng.random() * 0.003)
            if rng.random() < 0.5:
                rng.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (admission.under_way, admission.waiting, admission._of_key) == (0, 0, {})
        async with AsyncExitStack() as stack:  # all places are still there
            for _ in range(3):
                await stack.enter_async_context(admission.place(asked(callers[0])))
        await admission.idle()
        assert {caller.day.requests for caller in callers} == {0}

    run_virtually(main())


async def test_a_key_has_its_own_share() -> None:
    admission, spending = door(at_once=10), Spending(None)
    caller = client(spending, at_once=1)
    async with admission.place(asked(caller)):
        refused = await refusal(admission, caller)
        assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
        async with admission.place(asked(client(spending, "bob"))):
            pass


async def test_a_spent_day_is_refused_until_midnight() -> None:
    spending = Spending(None, now=Clock(86_400.0 * 20_000 + 82_800))  # 23:00
    caller = client(spending, daily_budget=Budget(tokens=100))
    caller.day.scope.used[4] = 99
    admission = door(spending)
    async with admission.place(asked(caller)):
        pass
    caller.day.scope.used[4] = 100
    refused = await refusal(admission, caller)
    assert (refused.status, refused.code, refused.retry_after) == (429, "insufficient_quota", 3600)
    assert refused.headers()["X-Should-Retry"] == "false"
    caller.day.scope.used[4] = 99
    caller.day.scope.reserved[4] = 50  # what others only reserved comes back: it isn't held against a newcomer
    async with admission.place(asked(caller)):
        pass


async def test_shutting_down_and_unwritable_books_are_503() -> None:
    admission = door()
    caller = client(admission.spending)
    admission.spending.unwritable = True
    assert (await refusal(admission, caller)).status == 503
    admission.spending.unwritable = False
    admission.draining = True
    refused = await refusal(admission, caller)
    assert (refused.status, refused.code) == (503, "shutting_down")


async def test_a_reload_lets_in_who_waits() -> None:
    admission = door(at_once=1)
    caller, release = client(admission.spending), asyncio.Event()

    async def one() -> None:
        async with admission.place(asked(caller)):
            await release.wait()

    tasks = [asyncio.create_task(one()) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (admission.under_way, admission.waiting) == (1, 2)
    admission.adopt(Limits(at_once=2))
    assert (admission.under_way, admission.waiting) == (2, 1)
    release.set()
    await asyncio.gather(*tasks)


@given(rate=st.floats(1, 600), gaps=st.lists(st.floats(0, 20), min_size=1, max_size=200))
def test_no_minute_sees_more_than_twice_the_rate_and_the_steady_state_is_the_rate(rate: float, gaps: list[float]) -> None:
    clock = Clock(0.0)
    rates, caller = Rates(clock), client(Spending(None), requests_per_minute=rate)
    taken, waits = list[float](), list[float]()
    for gap in gaps:
        clock.now += gap
        try:
            rates.take(caller)
            taken.append(clock.now)
        except Refusal as refused:
            waits.append(refused.retry_after or 0.0)
    assert all(wait > 0 for wait in waits)
    for start in taken:
        assert sum(start <= at < start + 60 for at in taken) <= 2 * rate + 2
    assert len(taken) <= rate + rate * (clock.now - taken[0]) / 60 + 2


def test_a_refusal_says_when_and_then_it_is_true() -> None:
    clock = Clock(0.0)
    rates, caller = Rates(clock), client(Spending(None), requests_per_minute=30)
    for _ in range(30):
        rates.take(caller)
    with pytest.raises(Refusal) as refused:
        rates.take(caller)
    assert refused.value.headers()["x-ratelimit-remaining-requests"] == "0"
    assert refused.value.retry_after is not None
    clock.now += refused.value.retry_after
    clock.now -= 0.5
    with pytest.raises(Refusal):
        rates.take(caller)
    clock.now += 1.5
    rates.take(caller)


def test_tokens_are_paid_off_afterwards() -> None:
    clock = Clock(0.0)
    rates, caller = Rates(clock), client(Spending(None), tokens_per_minute=1000)
    rates.take(caller)
    rates.spent(caller, 2500)
    with pytest.raises(Refusal, match="1000 tokens per minute") as refused:
        rates.take(caller)
    assert refused.value.retry_after == pytest.approx(90)
    assert rates.headers(caller)["x-ratelimit-remaining-tokens"] == "0"
    clock.now += 91
    rates.take(caller)
    clock.now += 60
    assert rates.headers(caller)["x-ratelimit-remaining-tokens"] == "1000"
