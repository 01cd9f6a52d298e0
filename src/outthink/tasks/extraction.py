"""Where a text states its final answer. Rules on text alone, linear in its length; nothing symbolic, no processes."""

from __future__ import annotations

import re

from outthink.tasks.numbers import quantity

_BRACE = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\.|(?P<opening>\{)|(?P<closing>\})", re.DOTALL)
_BARE_BOX = re.compile(r"\\boxed\s+([^\s{}$]+)")
_HASHES = re.compile(r"^####[ \t]*(\S.*)$", re.MULTILINE)
_PHRASE = re.compile(r"(?i)\banswer\b(?:\s+is\b|\s*[:=])(?:\s*(?:equal to|therefore|thus|simply|just)\b)?[ \t:*]*")
_DELIMITED = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_SENTENCE_END = re.compile(r"[.!?](?=\s|\*|$)|\n")

TAIL = 20_000
"""Characters at the end of a text in which phrases are looked for."""
BOX_TAIL = 200_000
"""Characters at the end of a text in which boxes are looked for."""


def last_boxed(text: str) -> str | None:
    """Content of the last `\\boxed{...}` whose braces balance and which isn't empty, else None."""
    text = text[-BOX_TAIL:]
    opened: list[int] = []  # where the content of each open box begins, or -1 for a plain brace
    start, content = -1, None
    for brace in _BRACE.finditer(text):
        if brace["box"]:
            opened.append(brace.end())
        elif brace["opening"]:
            opened.append(-1)
        elif brace["closing"] and opened:
            begin = opened.pop()
            if begin > start and (inner := text[begin : brace.start()].strip()):
                start, content = begin, inner
    if content is None and (bare := _BARE_BOX.findall(text)):
        content = bare[-1].rstrip(".,") or None
    return content


def after_phrase(text: str) -> str | None:
    """What follows the last `#### ` or `answer is` or `answer:`, up to the end of its sentence, else None."""
    text = text[-TAIL:]
    hashes = _HASHES.findall(text)
    if hashes:
        return str(hashes[-1]).strip()
    phrases = list(_PHRASE.finditer(text))
    if not phrases:
        return None
    rest = text[phrases[-1].end() :].lstrip()
    delimited = _DELIMITED.match(rest)
    if delimited:
        return next(group for group in delimited.groups() if group).strip() or None
    end = _SENTENCE_END.search(rest)
    sentence = rest[: end.start() if end else None].strip().strip("*").strip()
    return sentence or None


def last_number(text: str) -> str | None:
    """The last number written in digits, as written, else None."""
    found = re.findall(r"(?<![\w.])[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\w])|(?<=\$)\d+(?:\.\d+)?", text[-TAIL:])
    return found[-1] if found else None


def stated_quantity(text: str) -> str | None:
    """`after_phrase` where it is plainly one quantity, else None."""
    found = after_phrase(text)
    return found if found is not None and quantity(found) is not None else None
