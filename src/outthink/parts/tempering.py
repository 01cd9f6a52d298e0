"""Parallel tempering: chains at several temperatures, hottest first, whose traces change places.

A chain at temperature T has the law prior * G^(1/T), G being the product of a potential's factors along a trace. Changing places
with the probability below leaves the chains' joint law as it is (Swendsen and Wang 1986; Geyer 1991).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from outthink.core.errors import BadInput
from outthink.parts.potentials import Potential
from outthink.parts.resampling import Chance
from outthink.parts.traces import Trace


def swap_chance(hotter: float, colder: float, hot: float, cold: float) -> float:
    """The probability that two neighbouring chains change places: min(1, exp((colder - hotter) (1 / hot - 1 / cold))).

    hotter, colder: log G of the trace in the hotter chain, and of that in the colder one
    hot, cold:      temperatures of the two chains
    """
    return math.exp(min(0.0, (colder - hotter) * (1 / hot - 1 / cold)))


def exchanged(traces: Sequence[Trace], temperatures: Sequence[float], potential: Potential, chance: Chance) -> list[Trace]:
    """The chains' traces after each pair of neighbours, hottest first, had its chance to change places.

    potential: that of temperature 1
    """
    found, logs = list(traces), [potential.total(trace) for trace in traces]
    for at in range(len(found) - 1):
        if chance.random() < swap_chance(logs[at], logs[at + 1], temperatures[at], temperatures[at + 1]):
            found[at], found[at + 1] = found[at + 1], found[at]
            logs[at], logs[at + 1] = logs[at + 1], logs[at]
    return found


def descending(temperatures: Sequence[float]) -> None:
    """Raise BadInput unless these are temperatures of chains, hottest first."""
    falls = all(hot >= cold for hot, cold in itertools.pairwise(temperatures))
    if not temperatures or not falls or not all(0 < temperature < math.inf for temperature in temperatures):
        raise BadInput(f"they are {tuple(temperatures)!r} and must be above 0, the hottest first", where="temperatures")
