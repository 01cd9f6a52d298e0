"""Wrong keys by the address they come from. Whoever tries too many is told to wait, and the log isn't filled with them.

A right key is let in all the same, whatever else came from its address: otherwise whoever shares an address (a proxy, an office)
could lock the others out. The limit isn't what makes guessing hopeless, which 256 bits do; it keeps it cheap for us.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from outthink.gateway.refusal import Refusal

MINUTE = 60.0
MOST_ADDRESSES = 16_384
TOO_MANY = "too_many_wrong_keys"


class Guesses:
    """How far each address is ahead of what it may try (the rule of `rates`), in bounded memory.

    per_minute: wrong keys that one address may try
    now:        a clock in seconds that never goes back
    """

    def __init__(self, per_minute: float, now: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._now = per_minute, now
        self._paid_until: OrderedDict[str, float] = OrderedDict()  # the one that guessed last stands last

    def adopt(self, per_minute: float) -> None:
        """Go on under another limit; what was tried under the old one is forgiven."""
        if per_minute != self._per_minute:
            self._per_minute = per_minute
            self._paid_until.clear()

    def wrong(self, address: str) -> Refusal:
        """Count a wrong key, and say what its sender is told: 401, or 429 where there were too many."""
        origin, cost = _origin(address), MINUTE / self._per_minute
        now = self._now()
        paid = max(now, self._paid_until.pop(origin, now)) + cost
        ahead = paid - now - max(MINUTE, cost)
        if ahead > 1e-9:
            paid -= cost  # what is refused costs nothing more: waiting as told is enough
        self._paid_until[origin] = paid
        if len(self._paid_until) > MOST_ADDRESSES:
            self._paid_until.popitem(last=False)
        if ahead > 1e-9:
            return Refusal(429, "too many wrong API keys came from this address; try later", code=TOO_MANY, retry_after=ahead)
        return Refusal(401, "give a valid API key: 'Authorization: Bearer ...'", code="invalid_api_key")


def _origin(address: str) -> str:
    """The address, or of IPv6 the network that one customer is given: all of its addresses are theirs to use."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))
