"""Drawing tokens from logits for many samples at once, and their log-probabilities. Pure: chance comes in as uniform numbers.

The order is the embedded backend's, and vLLM's: penalties, temperature, then top_k, top_p and min_p, each on what the one before
it left. Log-probabilities are those of the plain logits, as llama.cpp's server reports them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from outthink.core.sampling import Sampling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["drawn", "log_normalisers", "most_probable", "penalised"]


def drawn(
    rows: NDArray[np.float32], settings: Sequence[Sampling], uniform: Sequence[float], seen: Sequence[Counter[int] | None]
) -> list[int]:
    """One token for each row.

    rows:    (n, vocabulary) logits
    uniform: (n,) numbers in [0, 1), which decide
    seen:    tokens that each sample and its prompt hold so far, for its penalties; None where it has none
    """
    import numpy

    greedy = [each.temperature == 0 for each in settings]
    if any(counts is not None for counts in seen):
        rows = numpy.stack([penalised(row, each, counts) for row, each, counts in zip(rows, settings, seen, strict=True)])
    if all(greedy):
        return [int(token) for token in rows.argmax(axis=1)]
    heat = numpy.array([each.temperature or 1.0 for each in settings])[:, None]
    scaled = rows / heat
    mass = numpy.exp(scaled - scaled.max(axis=1, keepdims=True))
    for at, each in enumerate(settings):
        if each.top_k or each.top_p < 1 or each.min_p:
            mass[at] = _filtered(mass[at], each)
    sums = mass.cumsum(axis=1)
    points = numpy.asarray(uniform)[:, None] * sums[:, -1:]
    tokens = (sums <= points).sum(axis=1)
    found = []
    for row, weights, token, likeliest in zip(rows, mass, tokens, greedy, strict=True):
        if token == len(row):  # rounding put the point at the very end
            token = numpy.flatnonzero(weights)[-1]
        found.append(int(row.argmax() if likeliest else token))
    return found


def _filtered(mass: NDArray[Any], settings: Sampling) -> NDArray[Any]:
    """The mass that the filters leave; of equally probable tokens the first ones stay."""
    import numpy

    order = numpy.argsort(-mass, kind="stable")
    if settings.top_k:
        order = order[: settings.top_k]
    if settings.top_p < 1:
        shares = mass[order].cumsum()
        order = order[: int((shares < settings.top_p * shares[-1]).sum()) + 1]
    if settings.min_p:
        order = order[mass[order] >= settings.min_p * mass[order[0]]]
    kept = numpy.zeros_like(mass)
    kept[order] = mass[order]
    return kept


def penalised(row: NDArray[np.float32], settings: Sampling, seen: Counter[int] | None) -> NDArray[np.float32]:
    """Logits after the penalties of tokens that were seen, as llama.cpp computes them."""
    import numpy

    if not seen:
        return row
    found = row.copy()
    tokens, counts = numpy.fromiter(seen.keys(), int, len(seen)), numpy.fromiter(seen.values(), float, len(seen))
    old = found[tokens]
    old = numpy.where(old <= 0, old * settings.repeat_penalty, old / settings.repeat_penalty)
    found[tokens] = old - counts * settings.frequency_penalty - settings.presence_penalty
    return found


def log_normalisers(rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) logarithms of the sums of exponentials: a logit minus it is a log-probability."""
    import numpy

    highest = rows.max(axis=1).astype(float)
    logarithms: NDArray[np.float64] = highest + numpy.log(numpy.exp(rows - highest[:, None]).sum(axis=1))
    return logarithms


def most_probable(row: NDArray[np.float32], count: int) -> list[int]:
    """The tokens of the highest logits, highest first."""
    import numpy

    count = min(count, len(row))
    found = numpy.argpartition(-row, count - 1)[:count] if count < len(row) else numpy.arange(count)
    return [int(token) for token in found[numpy.argsort(-row[found], kind="stable")]]
