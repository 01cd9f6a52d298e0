"""Offering every prefix of samples that came together, so that one run gives its whole curve."""

from __future__ import annotations

import math
from collections.abc import Iterable

from outthink.core.budget import NOTHING, Usage
from outthink.core.run import Run
from outthink.core.sample import Samples
from outthink.core.selection import Selection


def offered(run: Run, samples: Samples, selections: Iterable[Selection]) -> Selection:
    """Offer the choice after each sample and return the last one.

    The offer after k samples is charged with these k, and k/n of what the run spent beyond all n (a verifier, samples that
    failed), whole numbers rounded up.
    """
    beyond = _beyond(run.spent, sum((sample.usage for sample in samples), NOTHING))
    prefix, chosen = NOTHING, Selection(None)
    for k, (sample, chosen) in enumerate(zip(samples, selections, strict=True), start=1):
        prefix += sample.usage
        run.offer(chosen, spent=prefix + _part(beyond, k / len(samples)))
    return chosen


def _beyond(total: Usage, known: Usage) -> Usage:
    def over(whole: float | None, part: float | None) -> float | None:
        # Sums of floats in another order can differ by a rounding error: never below nothing.
        return None if whole is None or part is None else max(whole - part, 0)

    pairs = zip(total.fields().items(), known.fields().values(), strict=True)
    return Usage(**{name: over(whole, part) for (name, whole), part in pairs})  # type: ignore[arg-type]  # kinds are kept


def _part(usage: Usage, fraction: float) -> Usage:
    def part(value: float | None) -> float | None:
        return math.ceil(value * fraction) if isinstance(value, int) else None if value is None else value * fraction

    return usage if usage == NOTHING else Usage(**{name: part(value) for name, value in usage.fields().items()})  # type: ignore[arg-type]  # kinds are kept
