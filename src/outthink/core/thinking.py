"""The marks of a thinking block, as models' chat templates hold them. What is done with them is `outthink.parts.thinking`'s."""

from __future__ import annotations

OPENING, CLOSING = "<think>", "</think>"
"""Of most reasoning models (DeepSeek-R1, Qwen3, QwQ ...), and where nothing is known."""

MARKS = (
    (OPENING, CLOSING),
    ("<thinking>", "</thinking>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("[THINK]", "[/THINK]"),
)
"""Pairs that templates are searched for."""


def marks_in(template: str, opened: str) -> tuple[str, str] | None:
    """The opening and closing mark of a template, or None where it has none.

    opened: a prompt made by it that ends where an answer begins. Where that holds the opening mark already (many templates open
            the block themselves) the opening is "": a prefix must not open it again
    """
    for opening, closing in MARKS:
        if closing in template:
            return ("" if opened.rstrip().endswith(opening) else opening), closing
    return None
