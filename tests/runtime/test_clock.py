"""Virtual time: sleeps cost nothing, equal timers keep their order, real work holds the clock."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from outthink.runtime.clock import real_time, run_virtually


def test_an_hour_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(86400 * 3))
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == pytest.approx(86400 * 3)


def test_equal_timers_go_off_in_the_order_of_their_making() -> None:
    async def main() -> list[int]:
        order: list[int] = []

        async def sleeper(number: int) -> None:
            await asyncio.sleep(1 if number % 2 else 2)
            order.append(number)

        await asyncio.gather(*(sleeper(number) for number in range(40)))
        return order

    assert run_virtually(main()) == [*range(1, 40, 2), *range(0, 40, 2)]


def test_time_outs_are_virtual() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(500):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtually(main()) == pytest.approx(500)


def test_real_work_holds_the_clock_and_nothing_else() -> None:
    async def main() -> tuple[float, float]:
        loop, ended, stepped = asyncio.get_running_loop(), asyncio.Event(), 0

        async def stepping() -> None:
            nonlocal stepped
            for _ in range(50):
                await asyncio.sleep(0)
                stepped += 1

        def work() -> None:
            while stepped < 50:  # tasks that are ready run on meanwhile
                time.sleep(0.001)
            loop.call_soon_threadsafe(ended.set)

        timer = asyncio.create_task(asyncio.sleep(10))
        steps = asyncio.create_task(stepping())
        with real_time():
            thread = threading.Thread(target=work)
            thread.start()
            await ended.wait()
            during = loop.time()
        thread.join()
        await asyncio.gather(timer, steps)
        return during, loop.time()

    assert run_virtually(main()) == (0.0, pytest.approx(10.0))


def test_real_time_around_what_never_leaves_the_loop() -> None:
    async def main() -> None:
        with real_time():
            await asyncio.sleep(0)

    run_virtually(main())
    asyncio.run(main())
