"""Which misbehaviour a request meets, and what it does to bytes."""

from __future__ import annotations

import re
from random import Random

from outthink.testing.fake_server.settings import FAULTS, WIRE_FAULTS, FakeSettings

_TEXT = re.compile(rb'"(?:content|text)": "')
_STORMS = ("rate_limit", "rate_limit_bare")


class FaultDraws:
    """Draws the faults of one request after the other, each fault on its own, seeded."""

    def __init__(self, settings: FakeSettings) -> None:
        self._rates = [(name, settings.faults[name]) for name in FAULTS if settings.faults.get(name)]
        self._random = Random(settings.fault_seed)
        self._storm = settings.storm
        self._left: tuple[str, int] = ("", 0)

    def draw(self) -> tuple[str, ...]:
        """The faults of the next request: any of its content, and at most one of the wire."""
        if not self._rates:
            return ()
        drawn = [name for name, rate in self._rates if self._random.random() < rate]
        wire = next((name for name in drawn if name in WIRE_FAULTS), None)
        name, left = self._left
        if left:
            wire, self._left = name, (name, left - 1)
        elif wire in _STORMS:
            self._left = (wire, self._storm - 1)
        content = tuple(name for name in drawn if name not in WIRE_FAULTS)
        return content if wire is None else (*content, wire)


def spoiled(fault: str, data: bytes) -> bytes:
    """A body or an event as the fault leaves it; unchanged by faults that don't touch bytes."""
    match fault:
        case "truncated_json":
            return data[: len(data) // 2]
        case "malformed_json":
            return data.replace(b'":', b'";', 1)
        case "bad_utf8":
            found = _TEXT.search(data)
            at = found.end() if found else len(data)
            return data[:at] + b"\xff\xfe\xc3" + data[at:]
    return data
