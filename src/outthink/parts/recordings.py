"""What strategies read off the text of a sample, and the refusal where a recording kept only its answer."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.errors import PoolMiss
from outthink.core.sample import Sample

ANSWER_ONLY = "answer_only"
"""In `Sample.meta` of a replayed sample whose text was not kept: its `text` is no more than its answer."""


def said(samples: Sequence[Sample], who: str) -> list[str]:
    """All that each sample said, hidden reasoning included. Raises PoolMiss where a recording did not keep it."""
    lacking = next((sample for sample in samples if sample.meta.get(ANSWER_ONLY)), None)
    if lacking is not None:
        raise PoolMiss(f"{who} reads what samples say, and this pool kept only their answers; record texts, or run it live")
    return [f"{sample.meta.get('reasoning', '')}{sample.whole}" for sample in samples]


def repeats(samples: Sequence[Sample]) -> list[bool]:
    """Whether a sample says word for word what an earlier one said. Where texts were not kept nothing is known to repeat."""
    seen: set[str] = set()
    found = []
    for sample in samples:
        found.append(sample.whole in seen and not sample.meta.get(ANSWER_ONLY))
        seen.add(sample.whole)
    return found
