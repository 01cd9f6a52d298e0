"""The ledger under every order of events: no limit is passed, nobody waits for ever, keys go in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outthink.core.budget import Budget, Prices, Usage
from outthink.core.errors import BudgetCut
from outthink.runtime.clock import run_virtually
from outthink.runtime.ledger import Ask, Grant, Ledger, Scope

PRICES = Prices(1000.0, 2000.0)
limits = st.fixed_dictionaries(
    {},
    optional={
        "samples": st.integers(0, 12), "calls": st.integers(0, 12), "prompt_tokens": st.integers(0, 60),
        "completion_tokens": st.integers(0, 100), "tokens": st.integers(0, 150), "usd": st.floats(0, 0.3),
    },
)  # fmt: skip


def within(scopes: list[Scope]) -> None:
    for scope in scopes:
        assert scope.in_flight >= 0
        for i, limit in scope.limits:
            if not scope.overrun:
                assert scope.used[i] + scope.reserved[i] <= limit + 1e-6, (scope.name, i)


@settings(max_examples=150)
@given(st.lists(limits, min_size=4, max_size=4), st.integers(0, 2**32), st.integers(1, 30), st.booleans())
def test_no_limit_is_passed_and_every_waiter_ends(budgets: list[dict[str, Any]], seed: int, asks: int, hostile: bool) -> None:
    chance = random.Random(seed)

    async def attempt(ledger: Ledger, scopes: list[Scope], scope: Scope, order: int) -> str:
        await asyncio.sleep(chance.uniform(0, 3))
        for retry in range(3):
            ask = Ask(chance.randint(1, 3), chance.randint(0, 8), chance.randint(1, 20), chance.choice([PRICES, PRICES]))
            try:
                grant = await ledger.reserve(scope, ask, (order, (), retry, 0))
            except BudgetCut as cut:
                return cut.scope
            within(scopes)
            assert 1 <= grant.max_tokens <= ask.max_tokens
            try:
                await asyncio.sleep(chance.uniform(0, 2))
            finally:
                most = grant.ask.n * grant.max_tokens
                known = chance.randint(0, most) + (5 if hostile and chance.random() < 0.1 else 0)
                unknown = chance.randint(0, max(0, most - known))
                failed = chance.random() < 0.3
                prompt = chance.randint(0, ask.prompt)
                ledger.settle(
                    grant, samples=0 if failed else ask.n, prompt=prompt, unknown_prompt=ask.prompt - prompt,
                    completion=known, unknown_completion=unknown,
                )  # fmt: skip
                ledger.settle(grant, samples=9, completion=999)  # a second time changes nothing
                within(scopes)
            if not failed:
                return "done"
        return "failed"

    async def main() -> None:
        ledger = Ledger()
        dataset = Scope("dataset", Budget(**budgets[0]))
        problems = [Scope(f"problem {i}", Budget(**budgets[i]), dataset) for i in (1, 2)]
        child = Scope("child", Budget(**budgets[3]), problems[0], path=(0,))
        scopes = [dataset, *problems, child]
        tasks = [asyncio.create_task(attempt(ledger, scopes, chance.choice(scopes), order)) for order in range(asks)]
        for task in chance.sample(tasks, len(tasks) // 5):
            asyncio.get_running_loop().call_later(chance.uniform(0, 6), task.cancel)
        async with asyncio.timeout(10_000):  # virtual: whoever still waits then waits for ever
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        known = {"done", "failed", *(scope.name for scope in scopes)}
        assert all(isinstance(each, asyncio.CancelledError) or each in known for each in ended), ended
        for scope in scopes:
            assert scope.in_flight == 0
            assert scope.reserved == pytest.approx([0.0] * 6, abs=1e-6)

    run_virtually(main())


def scene(body: Callable[[Ledger], Any]) -> None:
    async def main() -> None:
        async with asyncio.timeout(100):
            await body(Ledger())

    run_virtually(main())


async def queue(ledger: Ledger, scope: Scope, served: list[int], order: int, ask: Ask) -> Grant:
    grant = await ledger.reserve(scope, ask, (order, (), 0, 0))
    served.append(order)
    return grant


def test_refunds_go_to_the_smallest_key_first() -> None:
    async def body(ledger: Ledger) -> None:
        scope, served = Scope("problem", Budget(completion_tokens=10)), []
        first = await ledger.reserve(scope, Ask(1, 0, 10), (0, (), 0, 0))
        tasks = [asyncio.create_task(queue(ledger, scope, served, order, Ask(1, 0, 10))) for order in (5, 3, 9, 4)]
        await asyncio.sleep(1)
        assert served == []
        tasks[1].cancel()
        await asyncio.sleep(0)
        grant = first
        for _ in range(3):
            ledger.settle(grant, samples=0)
            await asyncio.sleep(1)
            grant = next(t for t in tasks if t.done() and not t.cancelled() and not t.result().settled).result()
        assert served == [4, 5, 9]

    scene(body)


def test_small_asks_of_a_child_do_not_starve_a_large_one_around_it() -> None:
    async def body(ledger: Ledger) -> None:
        dataset = Scope("dataset", Budget(completion_tokens=100))
        one, other = Scope("problem", Budget(samples=1000), dataset), Scope("problem", Budget(), dataset)
        served: list[int] = []
        grants = [await ledger.reserve(one, Ask(1, 0, 20), (50, (), 0, i)) for i in range(5)]
        large = asyncio.create_task(queue(ledger, other, served, 1, Ask(1, 0, 90)))
        await asyncio.sleep(0)
        small = [asyncio.create_task(queue(ledger, one, served, 60 + i, Ask(1, 0, 20))) for i in range(20)]
        for grant in grants:
            await asyncio.sleep(1)
            ledger.settle(grant, samples=1)
        await asyncio.sleep(1)
        assert served[0] == 1, "the older one goes first, however many younger ones would fit"
        ledger.settle(await large, samples=1)
        for task in small:
            ledger.settle(await task, samples=0)

    scene(body)


def test_max_tokens_is_clipped_only_when_nothing_is_in_flight() -> None:
    async def body(ledger: Ledger) -> None:
        scope = Scope("problem", Budget(tokens=100))
        first = await ledger.reserve(scope, Ask(1, 10, 60), (0, (), 0, 0))
        later = asyncio.create_task(ledger.reserve(scope, Ask(2, 10, 60), (0, (), 0, 1)))
        await asyncio.sleep(1)
        assert not later.done(), "30 would fit, and more may come back"
        ledger.settle(first, samples=1, prompt=10, completion=30)
        grant = await later
        assert grant.max_tokens == 25
        ledger.settle(grant, samples=2, prompt=10, completion=50)
        with pytest.raises(BudgetCut, match="the problem budget of tokens is spent: 100 of 100 used"):
            await ledger.reserve(scope, Ask(1, 1, 1), (0, (), 0, 2))

    scene(body)


def test_unknown_tokens_stay_charged_and_an_overrun_ends_issuing() -> None:
    async def body(ledger: Ledger) -> None:
        scope = Scope("problem", Budget(tokens=1000, usd=10.0))
        grant = await ledger.reserve(scope, Ask(1, 10, 100, PRICES), (0, (), 0, 0))
        ledger.settle(grant, samples=0, unknown_prompt=10, completion=30, unknown_completion=70)
        assert scope.used == pytest.approx([0, 1, 10, 100, 110, 0.21])
        grant = await ledger.reserve(scope, Ask(1, 10, 100, PRICES), (0, (), 0, 1))
        waiting = asyncio.create_task(ledger.reserve(scope, Ask(1, 10, 800, PRICES), (0, (), 0, 2)))
        await asyncio.sleep(1)
        assert ledger.settle(grant, samples=1, prompt=10, completion=103) == 3
        with pytest.raises(BudgetCut, match="3 tokens more than it was granted"):
            await waiting

    scene(body)


def test_what_a_journal_holds_is_charged_to_one_scope_alone() -> None:
    outer = Scope("dataset", Budget(samples=10))
    inner = Scope("problem", Budget(samples=10), outer)
    Ledger().charge(inner, Usage(samples=4, unknown_completion_tokens=7))
    assert (inner.used[0], inner.used[3], outer.used[0]) == (4, 7, 0)
