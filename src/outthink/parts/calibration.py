"""Scores of steps turned into chances: one rising map per depth, kept in a small JSON file.

What a score of 0.6 is worth differs between the first step of an answer and its last. Maps are logistic (Platt 1999), on the
log-odds of scores that lie in [0, 1] and on other scores as they are: strictly rising unless flat, so that steps of one depth
keep their order. Fitting them is `outthink.evaluation.step_calibration`'s; here they are read, checked and applied.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from outthink.core.errors import BadInput

KIND, VERSION = "outthink.calibration", 1
SCALES = ("chance", "number")
MOST_BYTES = 1 << 20
_LEAST = 1e-9


def log_odds(score: float) -> float:
    """Of a chance, held off 0 and 1."""
    chance = min(max(score, _LEAST), 1 - _LEAST)
    return math.log(chance) - math.log1p(-chance)


@dataclass(frozen=True, slots=True)
class Line:
    """The log-odds of a good step are slope * x + intercept; slope 0 or more. labels: how many steps it was fitted to."""

    slope: float
    intercept: float
    labels: int

    def chance(self, x: float) -> float:
        """Of x on the map's scale."""
        odds = self.slope * x + self.intercept
        return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(max(odds, -745.0)) / (1 + math.exp(odds))


@dataclass(frozen=True)
class Calibration:
    """The maps of one verifier.

    verifier: its name, without its aggregation
    scale:    "chance": scores lie in [0, 1], x is their log-odds. "number": x is the score
    pooled:   the map of depths that have none of their own
    depths:   the others, by the number of steps, from 1
    notes:    what it was fitted to, in words
    """

    verifier: str
    scale: str
    pooled: Line
    depths: Mapping[int, Line] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def chance(self, score: float | None, depth: int) -> float | None:
        """How probably an answer so far of `depth` steps, scored so, is good. None, NaN and infinities stay unsaid."""
        if score is None or not math.isfinite(score):
            return None
        return self.depths.get(depth, self.pooled).chance(log_odds(score) if self.scale == "chance" else score)

    @property
    def fingerprint(self) -> str:
        """Tells maps apart, whatever their notes."""
        lines = [(depth, line.slope, line.intercept) for depth, line in sorted({**self.depths, 0: self.pooled}.items())]
        return hashlib.blake2b(repr((self.verifier, self.scale, lines)).encode(), digest_size=4).hexdigest()

    def to_json(self) -> str:
        """As JSON that `from_json` reads back digit for digit."""
        return json.dumps({"kind": KIND, "version": VERSION, **asdict(self)}, indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, where: str = "calibration") -> Self:
        """From its JSON. Raises BadInput, saying what is wrong, for anything else."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise BadInput("is no JSON", where=where) from None
        if not isinstance(document, dict) or document.get("kind") != KIND:
            raise BadInput("is no calibration of ours; `outthink pool calibrate` writes one", where=where)
        if document.get("version") != VERSION:
            raise BadInput(f"has version {_shown(document.get('version'))}, and {VERSION} can be read; fit it again", where=where)
        verifier, scale, depths, notes = (document.get(name) for name in ("verifier", "scale", "depths", "notes"))
        if not isinstance(verifier, str) or not verifier or scale not in SCALES:
            raise BadInput(f"names no verifier, or a scale other than {' and '.join(SCALES)}", where=where)
        if not isinstance(depths, dict) or not isinstance(notes, dict):
            raise BadInput("depths and notes must be objects", where=where)
        lines = {}
        for name, line in depths.items():
            if not name.isascii() or not name.isdecimal() or not 0 < len(name) < 7 or int(name) < 1:
                raise BadInput(f"depth {name[:20]!r} is no number of steps from 1", where=where)
            lines[int(name)] = _line(line, f"{where}, depth {name}")
        pooled = _line(document.get("pooled"), f"{where}, pooled")
        return cls(verifier, scale, pooled, lines, {name: str(note) for name, note in notes.items()})

    @classmethod
    def of(cls, given: object) -> Self | None:
        """A calibration itself, the one that a file holds, or None for None. Raises BadInput."""
        if given is None or isinstance(given, cls):
            return given
        if not isinstance(given, (str, Path)) or not str(given):
            raise BadInput(f"is {given!r} and must be a file that `outthink pool calibrate` wrote", where="calibration")
        where = f"calibration {given}"
        try:
            with open(given, "rb") as file:
                read = file.read(MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            raise BadInput(f"can't be read: {getattr(error, 'strerror', None) or error}", where=where) from None
        if len(read) > MOST_BYTES:
            raise BadInput(f"is larger than {MOST_BYTES} bytes, and no calibration is", where=where)
        return cls.from_json(read.decode("utf-8", "replace"), where)


CalibrationOrFile = Calibration | str | Path | None
"""What a verifier takes as its calibration; None: its scores are left as they are."""


def _shown(value: object) -> str:
    return repr(value)[:60]


def _line(given: Any, where: str) -> Line:
    if not isinstance(given, dict):
        raise BadInput("there is no map", where=where)
    labels, numbers = given.get("labels"), list[float]()
    for name in ("slope", "intercept"):
        value = given.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1e9:
            raise BadInput(f"{name} is {_shown(value)} and must be a finite number", where=where)
        numbers.append(float(value))
    slope, intercept = numbers
    if slope < 0:
        raise BadInput(f"slope is {slope!r}: the map falls, and a higher score must never mean a worse step", where=where)
    if isinstance(labels, bool) or not isinstance(labels, int) or labels < 0:
        raise BadInput(f"labels is {_shown(labels)} and must be a whole number", where=where)
    return Line(slope, intercept, labels)
