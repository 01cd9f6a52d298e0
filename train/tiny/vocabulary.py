"""The vocabulary: 375 tokens, and the one way to cut a text into them. Nothing here knows models or files.

Numbers are one token each, so that arithmetic is a table that a tiny model can learn; every other text is cut into bytes.
llama.cpp cuts at user-defined tokens, longest first, and so does `encode`.
"""

from __future__ import annotations

import re

UNKNOWN, BEGIN, END = 0, 1, 2
WORDS = ("make ", "search ", "calc ", " from ", "back ", "answer ", "good", "bad", *"+-*/=, \n")
BYTES = [f"<0x{value:02X}>" for value in range(256)]
DEFINED = [*WORDS, *map(str, range(100))]
TOKENS = ["<unk>", "<s>", "</s>", *BYTES, *DEFINED]
IDS = {text: 3 + len(BYTES) + place for place, text in enumerate(DEFINED)}
GOOD, BAD, NEWLINE = IDS["good"], IDS["bad"], IDS["\n"]

_PIECE = re.compile("|".join(map(re.escape, sorted(DEFINED, key=len, reverse=True))) + "|.", re.DOTALL)


def encode(text: str) -> list[int]:
    """Token ids of a text, without begin or end."""
    ids: list[int] = []
    for piece in _PIECE.findall(text):
        known = IDS.get(piece)
        ids.extend([known] if known is not None else (3 + value for value in piece.encode("utf-8", "replace")))
    return ids


def decode(ids: list[int]) -> str:
    """The text of token ids; begin, end and unknown have none."""
    parts = [bytes([i - 3]) if 3 <= i < 3 + len(BYTES) else TOKENS[i].encode() for i in ids if i > END]
    return b"".join(parts).decode("utf-8", "replace")
