"""Which traces a search keeps. Growing, rating and choosing are `outthink.parts.traces`'.

Ties everywhere: the trace that came first.
"""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.sample import Finish
from outthink.parts.traces import Trace


def best(traces: Sequence[Trace], count: int) -> list[Trace]:
    """The `count` traces of the highest rank, in order of rank."""
    return sorted(traces, key=lambda trace: -trace.rank)[:count]


def arrived(traces: Sequence[Trace | None]) -> list[Trace]:
    """The traces whose step arrived."""
    return [trace for trace in traces if trace is not None]


def parted(traces: Sequence[Trace]) -> tuple[list[Trace], list[Trace]]:
    """(those that can go on, those that have ended); an ended one that was left by a budget is neither."""
    alive = [trace for trace in traces if trace.ended is None]
    return alive, [trace for trace in traces if trace.ended not in (None, Finish.CANCELLED)]


def distinct(traces: Sequence[Trace]) -> list[Trace]:
    """The first of those with equal texts."""
    found: dict[str, Trace] = {}
    for trace in traces:
        found.setdefault(trace.text, trace)
    return list(found.values())


def repeated(traces: Sequence[Trace], width: int) -> list[Trace]:
    """The traces in order, again and again, until there are `width`."""
    return [traces[at % len(traces)] for at in range(width)]
