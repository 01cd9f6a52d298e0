"""What a run had spent when: its curve, what it offered on the way, and how near it came to its budget."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any

from outthink.core.budget import NOTHING, Budget, Usage
from outthink.core.selection import Offer
from outthink.report.run_view.reading import Found

MOST_POINTS = 400
MOST_OFFERS = 200


def limits(budget: Budget, usage: Usage, wall_seconds: float) -> list[dict[str, Any]]:
    """Each bounded dimension with its limit and what was spent of it, unknown tokens at their most."""
    spent: dict[str, float | None] = {
        "samples": usage.samples,
        "completion_tokens": usage.completion_tokens + usage.unknown_completion_tokens,
        "prompt_tokens": usage.prompt_tokens + usage.unknown_prompt_tokens,
        "tokens": usage.most_tokens,
        "calls": usage.calls,
        "seconds": wall_seconds,
        "usd": usage.usd,
    }
    return [{"dimension": name, "limit": limit, "spent": spent[name]} for name, limit in budget.limits().items()]


def curve(found: Found) -> dict[str, Any]:
    """Points [seconds, samples, tokens, usd] after each arrival, thinned to a few hundred; `timed`: whether seconds are known."""
    points: list[list[float | None]] = [[0.0, 0, 0, 0.0]]
    total = NOTHING
    timed = bool(found.arrived) and all(at is not None for at in found.arrived.values())
    for at, seconds in found.arrived.items():
        row = found.recorded.samples.get(at)
        if row is None or not (row.usage.calls or row.usage.most_tokens or row.usage.samples):
            continue
        total = total + row.usage
        points.append([seconds if timed else None, total.samples, total.most_tokens, total.usd])
    kept = _thinned(points)
    return {"timed": timed, "points": kept, "wall_seconds": found.recorded.wall_seconds}


def offers(found: Found, given: Sequence[Offer]) -> list[dict[str, Any]]:
    """The answers on the way that were new, and the last: what each had needed, and when that much had been spent."""
    spent, when, total = [], [], 0
    for at, seconds in found.arrived.items():
        row = found.recorded.samples.get(at)
        total += row.usage.most_tokens if row is not None else 0
        spent.append(total)
        when.append(seconds)
    changed = [
        offer
        for place, offer in enumerate(given)
        if place in (0, len(given) - 1) or offer.selection.answer_class != given[place - 1].selection.answer_class
    ]
    shown = changed if len(changed) <= MOST_OFFERS else [*changed[: MOST_OFFERS - 1], changed[-1]]
    found_offers = []
    for offer in shown:
        place = bisect.bisect_left(spent, offer.usage.most_tokens)
        confidence = offer.selection.confidence
        found_offers.append(
            {
                "answer": None if offer.selection.answer is None else offer.selection.answer[:500],
                "confidence": confidence if confidence is not None and math.isfinite(confidence) else None,
                "samples": offer.usage.samples,
                "tokens": offer.usage.most_tokens,
                "usd": offer.usage.usd,
                "seconds": when[place] if place < len(when) else None,
            }
        )
    return found_offers


def _thinned(points: list[list[Any]]) -> list[list[Any]]:
    if len(points) <= MOST_POINTS:
        return points
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(place * step)] for place in range(MOST_POINTS)]
