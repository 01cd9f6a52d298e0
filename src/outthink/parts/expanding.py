"""Nodes of a search that keeps many of them open: their next steps, and the plain end of the one that is left when it stops.

Which node is next is a strategy's rule; a search that grows all it has at once needs none of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from outthink.core.errors import QuorumNotMet
from outthink.core.problem import Problem
from outthink.core.run import Run
from outthink.core.selection import Selection
from outthink.parts.drawing import HOPELESS_RUN
from outthink.parts.frontier import arrived
from outthink.parts.traces import Trace, choose, grow, rate


async def expanded(
    run: Run, problem: Problem, traces: Sequence[Trace], failures: list[str], *, alone: bool, **how: Any
) -> list[Trace | None]:
    """`grow`, where no step of an open node need arrive: one that can't go on costs the others nothing.

    failures: why traces could not go on since the last that could; kept from one expansion to the next
    alone:    nothing else is open, and no answer is there

    Raises QuorumNotMet where nothing arrives alone, or after `HOPELESS_RUN` traces in a row; else what `grow` raises.
    """
    try:
        grown = await grow(run, problem, traces, **how)
    except QuorumNotMet as none:
        failures += none.failed[: len({trace.text for trace in traces})]
        if alone or len(failures) >= HOPELESS_RUN:
            raise
        return [None] * len(traces)
    failures.clear()
    return grown


async def finished(run: Run, problem: Problem, trace: Trace, failures: list[str], *, alone: bool, **how: Any) -> Selection | None:
    """The answer of a trace that simply goes on to its end; None where it can't, and others may. As for `expanded`."""
    grown = arrived(await expanded(run, problem, [trace], failures, alone=alone, to_end=True, **how))
    return await choose(run, problem, await rate(run, problem, grown)) if grown else None
