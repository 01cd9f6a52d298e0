"""The thinking block of reasoning models: where it is in a text, and the prefix that skips it."""

from __future__ import annotations

OPENING, CLOSING = "<think>", "</think>"
"""Marks of most reasoning models (DeepSeek-R1, Qwen3, QwQ ...)."""

FINISHED = "Okay, I think I have finished thinking."
"""The whole thought of NoThinking (arXiv:2504.09858)."""


def skipped(thought: str, opening: str = OPENING, closing: str = CLOSING) -> str:
    """The beginning of an answer that has thought already; opening "" where the model's template opens the block itself."""
    return f"{opening}\n{thought}\n{closing}\n\n" if opening else f"{thought}\n{closing}\n\n"


def is_thinking(text: str, closing: str = CLOSING) -> bool:
    """Whether a text ends inside its thinking block: it has not closed it."""
    return closing not in text


def without_thinking(text: str, opening: str = OPENING, closing: str = CLOSING) -> str:
    """What comes after the last thinking block; a block that was never closed leaves nothing."""
    if closing in text:
        return text.rpartition(closing)[2]
    return text.partition(opening)[0]
