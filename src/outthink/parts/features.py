"""What a sample's text looks like: how long it is, and how often words of certain kinds come. No model, no score.

Word lists are ours: those of the paper that counts them (arXiv:2504.14047) are not published.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from outthink.core.sample import Sample
from outthink.parts.recordings import said

_LISTS = {
    "hedging": "maybe perhaps might probably possibly seems unsure|not sure|i think|i guess",
    "thinking": "wait hmm actually alternatively|let me check|let me double-check|let me verify|let me reconsider|hold on",
    "discourse": "therefore because so then first second finally thus hence since",
}
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")


def _pattern(words: str) -> re.Pattern[str]:
    singles, *phrases = words.split("|")
    # A phrase first: "not sure" is one marker.
    spaced = [re.escape(phrase).replace(r"\ ", r"\s+") for phrase in phrases]
    return re.compile(r"\b(?:" + "|".join([*spaced, *singles.split()]) + r")\b", re.IGNORECASE)


MARKERS = {kind: _pattern(words) for kind, words in _LISTS.items()}
"""Kinds of marker words."""


def rate(text: str, kind: str) -> float:
    """Markers of a kind (see `MARKERS`) per 1,000 words; 0 for a text without words."""
    words = len(_WORD.findall(text))
    return 1000 * len(MARKERS[kind].findall(text)) / words if words else 0.0


def lengths(samples: Sequence[Sample], who: str) -> list[int]:
    """Length of each sample in tokens, or in characters of all of them where a backend didn't count tokens.

    Raises PoolMiss where neither was recorded.
    """
    counted = [sample.tokens for sample in samples if sample.tokens is not None]
    return counted if len(counted) == len(samples) else [len(text) for text in said(samples, who)]
