"""The thinking block of reasoning models: where it is in a text, and the prefix that skips it."""

from __future__ import annotations

from outthink.core.thinking import CLOSING, OPENING

FINISHED = "Okay, I think I have finished thinking."
"""The whole thought of NoThinking (arXiv:2504.09858)."""


def skipped(thought: str, opening: str = OPENING, closing: str = CLOSING) -> str:
    """The beginning of an answer that has thought already; opening "" where the model's template opens the block itself."""
    return f"{opening}\n{thought}\n{closing}\n\n" if opening else f"{thought}\n{closing}\n\n"


def closed(text: str, opening: str = OPENING, closing: str = CLOSING) -> str:
    """What must be added to a text that was cut, so that its final answer can follow: a mark where it ends inside a block."""
    inside = bool(opening) and text.rfind(opening) > text.rfind(closing)
    return f"\n{closing}\n\n" if inside else "\n\n"


def without_thinking(text: str, opening: str = OPENING, closing: str = CLOSING) -> str:
    """What comes after the last thinking block; a block that was never closed leaves nothing."""
    if closing in text:
        return text.rpartition(closing)[2]
    return text.partition(opening)[0]
