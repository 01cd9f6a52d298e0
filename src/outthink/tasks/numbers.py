"""Plain quantities read from text, exactly: `42`, `-1,234.50`, `$18`, `\\frac12`, `2 1/3`, `3\\times10^4`, `50\\%`.

The fast path of mathematical equality: what is a number here never needs a computer algebra system. Whatever is not
plainly one quantity (variables, roots, sets, ...) is None, and is left to the task. No I/O, nothing symbolic.

Units are dropped (`5 \\text{ cm}` is 5), as graders of mathematics do. Two things keep their mark, because dropping it
would merge different answers: a percent sign and a half of the day (am, pm).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

LONGEST = 300
"""Characters of the longest text that is read as a quantity; longer ones are not worth reading as one."""

_COMMAND = r"(?<!\\)\\"  # not the second of two, which end a row of a matrix
_TIDY = (
    (re.compile(_COMMAND + r"(?:displaystyle|left|right|[bB]ig+[lr]?)(?![a-zA-Z])"), ""),
    (re.compile(_COMMAND + r"[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(_COMMAND + "[!,;:]"), ""),
    (re.compile(_COMMAND + r"(?:q?quad(?![a-zA-Z])| )|~|[\u00a0\u2009\u202f]"), " "),
    (re.compile(_COMMAND + "([%$€£])"), r"\1"),
    (re.compile(r"\s+"), " "),
)
_SIGNS = str.maketrans({"−": "-", "–": "-", "⁄": "/", "％": "%", "½": r"\frac12", "¼": r"\frac14", "¾": r"\frac34"})
_WHOLE_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|textrm)\s*\{([^{}\\]*)\}")

_INT = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_DEC = rf"(?:{_INT}(?:\.\d*)?|\.\d+)"
_BODY = re.compile(
    rf"(?P<sign>[-+]?)\s*[$€£¥₹]?\s*(?P<sign2>-?)(?:"
    rf"(?:(?P<mixed>\d+)\s*)?\\frac"
    rf"(?:\{{\s*(?P<top>-?{_DEC})\s*\}}|\s*(?P<top1>\d))(?:\{{\s*(?P<low>-?{_DEC})\s*\}}|\s*(?P<low1>\d))"
    rf"|(?:(?P<mixed2>\d+) )?(?P<over>{_DEC})\s*/\s*(?P<under>{_DEC})"
    rf"|(?P<head>\d*)\.(?P<fixed>\d*)\\overline\s*\{{?(?P<again>\d+)\}}?"
    rf"|(?P<plain>{_DEC})(?:\s*(?:\\times|\\cdot|×|\*)\s*10\s*\^\s*\{{?(?P<power>[-+]?\d{{1,3}})\}}?|[eE](?P<exponent>[-+]?\d{{1,3}}))?"
    r")"
)
_ORDINAL = re.compile(r"\^?\{?\s*(?:\\(?:text|mathrm)\s*\{)?(?:st|nd|rd|th)\}{0,2}(?![a-zA-Z}])|\^?\{?(?:st|nd|rd|th)\}")
_DEGREE = re.compile(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|°|\\degree)\s*[CF]?\s*$")
_IN_TEXT = re.compile(r"\s*\\(?:text|textbf|mathrm|mbox|textrm)\s*\{([^{}\\]*)\}\s*(?:\^\s*\{?[23]\}?)?\s*$")
_BARE = re.compile(r"(?P<gap>\s*)(?P<words>[A-Za-z][A-Za-z.' /-]*)(?:\^\s*\{?[23]\}?)?\s*$")
_TIMES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SHORT_UNITS = frozenset("cm mm km kg mg ml ft lb lbs oz mi hr hrs min sec mph kph".split())
# Words after a number that say that it is not the whole quantity.
_NOT_UNITS = frozenset(
    "and or to mod base pi sin cos tan sec csc cot log exp sqrt frac over under plus minus times divided by is equals "
    "if for when where dozen half quarter x y z".split()
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number.

    value:     exact value of what is written, without unit and percent sign
    percent:   whether it was followed by a percent sign
    half:      "am" or "pm" where it is a time of day, else ""
    tolerance: for a long decimal (six or more digits after the point, six or more significant) one unit of its last
               place, because such a number is cut off somewhere; else 0
    """

    value: Fraction
    percent: bool = False
    half: str = ""
    tolerance: Fraction = Fraction(0)

    @property
    def key(self) -> str | None:
        """The canonical text of an exact quantity, else None: equality with a percentage, a time of day or a long decimal is not
        transitive (0.5 = 50% = 50), so that these have no canonical form."""
        return None if self.percent or self.half or self.tolerance else str(self.value)

    def equals(self, other: Quantity) -> bool:
        """Whether both may be meant as the same number. Symmetric; not transitive (see `key`)."""
        if self.half and other.half and self.half != other.half:
            return False
        tolerance = max(self.tolerance, other.tolerance)

        def close(one: Fraction, two: Fraction) -> bool:
            return one == two or abs(one - two) < tolerance

        if self.percent == other.percent:
            return close(self.value, other.value)
        share, number = (self, other) if self.percent else (other, self)
        return close(share.value, number.value) or close(share.value / 100, number.value)


def tidy(text: str) -> str:
    """The text without what only changes its looks: spacing commands, delimiters, display fractions, one full stop."""
    text = text.strip().translate(_SIGNS).strip("$").strip()
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]"), ("**", "**")):
        if len(text) > 4 and text.startswith(opening) and text.endswith(closing):
            text = text[2:-2]
    if not text.isascii():
        text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    for pattern, replacement in _TIDY:
        text = pattern.sub(replacement, text)
    text = text.strip()
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].rstrip() if not re.search(r"(?i)\b[ap]\.m\.$", text) else text
    whole = _WHOLE_TEXT.fullmatch(text)
    return whole.group(1).strip() if whole else text


def quantity(text: str) -> Quantity | None:
    """The one quantity that `text` is, or None."""
    return _quantity(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=8192)
def _quantity(text: str) -> Quantity | None:
    text = tidy(text)
    match = _BODY.match(text)
    if match is None:
        return None
    rest = _suffix(text[match.end() :], after_point=text[match.end() - 1 : match.end()] == ".")
    if rest is None:
        return None
    try:
        value, places = _value(match)
    except ZeroDivisionError:
        return None
    scale, percent, half = rest
    digits = len(str(abs(value.numerator * 10**places // value.denominator))) if places else 0
    tolerance = Fraction(scale, 10**places) if places >= 6 and digits >= 6 else Fraction(0)
    return Quantity(value * scale, percent, half, tolerance)


def _value(match: re.Match[str]) -> tuple[Fraction, int]:
    """Value and number of digits after the point (0 where it is not a plain decimal)."""
    part = {name: text.replace(",", "") if text else "" for name, text in match.groupdict().items()}
    negative = (part["sign"] == "-") != (part["sign2"] == "-")
    places = 0
    if part["plain"]:
        power = int(part["power"] or part["exponent"] or 0)
        value = Fraction(part["plain"].rstrip(".")) * Fraction(10) ** power
        places = 0 if power else len(part["plain"].partition(".")[2])
    elif part["again"]:
        fixed, again = part["fixed"], part["again"]
        value = Fraction(int(part["head"] or 0)) + Fraction(int(fixed or 0), 10 ** len(fixed))
        value += Fraction(int(again), (10 ** len(again) - 1) * 10 ** len(fixed))
    else:
        top, low = part["top"] or part["top1"] or part["over"], part["low"] or part["low1"] or part["under"]
        value = Fraction(int(part["mixed"] or part["mixed2"] or 0)) + Fraction(top) / Fraction(low)
    return (-value if negative else value), places


def _suffix(text: str, *, after_point: bool) -> tuple[int, bool, str] | None:
    """What follows a number: (multiplier, percent, half of the day), or None where it is more than a unit."""
    if not text:
        return 1, False, ""
    bare = text.strip().lower()
    if bare in {"%", "percent", "pct"} or (_IN_TEXT.fullmatch(text) and "percent" in bare):
        return 1, True, ""
    if _DEGREE.fullmatch(text):
        return 1, False, ""
    ordinal = _ORDINAL.match(text) if not after_point else None
    text = text[ordinal.end() :] if ordinal else text
    inside = _IN_TEXT.fullmatch(text)
    outside = None if inside else _BARE.fullmatch(text)
    if inside:
        words = inside.group(1).lower().split()
    elif outside:
        words = outside["words"].lower().split()
        if not ordinal and not _reads_as_unit(words, gap=bool(outside["gap"])):
            return None
    else:
        return (1, False, "") if not text.strip() else None
    half = "".join(words).replace(".", "")
    if half in {"am", "pm"}:
        return 1, False, half
    scale = _TIMES.get(words[0], 1) if words else 1
    return None if _NOT_UNITS.intersection(words) else (scale, False, "")


def _reads_as_unit(words: list[str], *, gap: bool) -> bool:
    """Whether bare words after a number are a unit, rather than variables: `6 trinkets`, `5 cm`, but not `3 xy`, `2abc`."""
    first = words[0].rstrip(".")
    return first in _SHORT_UNITS or first in {"am", "pm", "a.m", "p.m"} or len(first) >= (3 if gap else 5)
