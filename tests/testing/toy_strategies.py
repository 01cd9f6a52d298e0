"""Strategies that use what the built-in ones don't (children, streams, races), and ones that break the rules."""

from __future__ import annotations

from outthink.core.capability import Needs
from outthink.core.errors import RunError
from outthink.core.operation import EventKind
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.sample import Sample, Samples
from outthink.core.selection import Selection
from outthink.core.strategy import strategy
from outthink.parts.anytime import offered
from outthink.parts.voting import growing


@strategy("children")
async def children(run: Run, problem: Problem, n: int = 4) -> Selection:
    """A majority whose samples are drawn by child runs."""

    failures: list[RunError] = []

    async def one(child: Run) -> Samples:
        try:
            return await child.generate(problem)
        except RunError as failure:
            failures.append(failure)
            return Samples(())

    drawn = [samples for samples in await run.all([one] * n) if samples is not None]
    samples = Samples(tuple(sample for each in drawn for sample in each))
    if failures and not samples:
        raise failures[0]
    return offered(run, samples, growing(samples, await run.answers(problem, samples)))


@strategy("watched", needs={Needs.STREAM})
async def watched(run: Run, problem: Problem, n: int = 4) -> Selection:
    """A majority of streams, each read piece by piece, one after the other."""
    found: list[Sample] = []
    failures: list[BaseException] = []
    for _ in range(n):
        handle = await run.start(problem, every=3)
        while (event := await run.next([handle])).kind is EventKind.PARTIAL:
            pass
        if event.kind is EventKind.DONE:
            found += list(event.value)
        elif event.error is not None:
            failures.append(event.error)
    if failures and not found:
        raise failures[0]
    samples = Samples(tuple(found))
    return offered(run, samples, growing(samples, await run.answers(problem, samples)))


@strategy("first_finish", needs={Needs.STREAM}, races=True)
async def first_finish(run: Run, problem: Problem, n: int = 4) -> Selection:
    """The answer of whichever stream ends first."""
    handles = [await run.start(problem, every=2) for _ in range(n)]
    while handles:
        event = await run.next(handles)
        if event.kind is EventKind.PARTIAL:
            continue
        handles.remove(event.handle)
        if event.kind is EventKind.DONE:
            for handle in handles:
                await run.cancel(handle)
            return offered(run, event.value, growing(event.value, await run.answers(problem, event.value)))
        if event.error is not None and not handles:
            raise event.error
    return Selection(None)


@strategy("hidden_race", needs={Needs.STREAM})
async def hidden_race(run: Run, problem: Problem, n: int = 4) -> Selection:
    """Takes what comes first and doesn't say so."""
    return await first_finish.body(run, problem, n)


_calls = 0


@strategy("remembers")
async def remembers(run: Run, problem: Problem, n: int = 4) -> Selection:
    """Keeps state between runs."""
    global _calls
    _calls += 1
    samples = await run.generate(problem, n - _calls % 2)
    return offered(run, samples, growing(samples, await run.answers(problem, samples)))


@strategy("silent")
async def silent(run: Run, problem: Problem, n: int = 4) -> Selection:
    """Offers nothing on the way."""
    samples = await run.generate(problem, n)
    *_, last = growing(samples, await run.answers(problem, samples))
    return last


@strategy("last_wins")
async def last_wins(run: Run, problem: Problem, n: int = 4) -> Selection:
    """Returns the last text as the answer, whether it holds one or not."""
    samples = await run.generate(problem, n)
    chosen = Selection(samples[-1].text[-9:], sample=samples[-1])
    run.offer(chosen)
    return chosen
