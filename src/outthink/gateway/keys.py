"""API keys: made, hashed for the configuration, recognised. What a key may spend is `spending`'s and `admission`'s.

A key is 256 random bits that we draw, so its SHA-256 can't be turned back or guessed, and a slow hash (scrypt) would buy
nothing: it defends words that people choose. It would cost 50 ms for each request, which is a way to stop the gateway from
outside. For the same reason `hash_of` refuses a key that a person could have chosen.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from outthink.core.budget import Budget
from outthink.core.errors import BadInput
from outthink.gateway.config import KeySettings
from outthink.gateway.guesses import Guesses
from outthink.gateway.refusal import Refusal
from outthink.gateway.seams import Caller
from outthink.gateway.spending import Day, Spending

PREFIX = "ot-"
LONGEST = 512
PART = len("sha256:") + 8
LEAST_BITS = 100
"""Bits, estimated from the letters, that a key of somebody else's making must have."""


@dataclass(frozen=True, slots=True)
class Client(Caller):
    """A recognised caller, with the settings of its key and what it spends today. It doesn't hold the key."""

    settings: KeySettings = field(default_factory=lambda: KeySettings(hash=""))
    day: Day = field(default_factory=lambda: Day("anyone", date.min, Budget()))


def new_key() -> str:
    """A new random key."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    """What the configuration holds instead of the key. Raises BadInput, without the key, for one that could be guessed."""
    if not key.isascii() or not key.isprintable() or any(letter.isspace() for letter in key) or len(key) > LONGEST:
        raise BadInput(f"must be at most {LONGEST} printable ASCII characters without spaces", where="key")
    bits = -sum(count * math.log2(count / len(key)) for count in Counter(key).values())
    if bits < LEAST_BITS:
        raise BadInput(
            f"could be guessed: it has about {bits:.0f} bits and needs {LEAST_BITS}; make one with `outthink keys new NAME`",
            where="key",
        )
    return _hashed(key)


def _hashed(key: str) -> str:
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


class KeyRing:
    """All keys of one configuration; a form of `seams.Keys`.

    keyless: whoever has no key is let in as `anyone`; a wrong key is refused all the same
    guesses: counts wrong keys; None: nobody does
    """

    def __init__(
        self,
        keys: Mapping[str, KeySettings],
        spending: Spending,
        *,
        keyless: bool = False,
        guesses: Guesses | None = None,
    ) -> None:
        self._spending, self._keyless, self._guesses = spending, keyless, guesses
        # Found by a part of the hash, which tells nothing of the key, and then compared in constant time.
        self._found: dict[str, list[tuple[str, KeySettings]]] = {}
        for name, settings in keys.items():
            self._found.setdefault(settings.hash[:PART], []).append((name, settings))

    def caller(self, headers: Mapping[str, str], address: str) -> Client:
        """Whose key it is. Raises Refusal: 401 for none, an unknown and an expired one, in the same words; 429 after too many."""
        key = bearer(headers.get("authorization"))
        if key is None and self._keyless:
            return self._client("anyone", KeySettings(hash="", operator=not self._found))
        found = None if key is None else self._find(key)
        if found is None and self._keyless and not self._found:
            return self._client("anyone", KeySettings(hash="", operator=True))  # clients send a key whether one is needed or not
        if found is None and key is not None and self._guesses is not None:
            raise self._guesses.wrong(address)
        if found is None:
            raise Refusal(401, "give a valid API key: 'Authorization: Bearer ...'", code="invalid_api_key")
        return self._client(*found)

    def _find(self, key: str) -> tuple[str, KeySettings] | None:
        if len(key) > LONGEST:
            return None
        hashed = _hashed(key.encode("ascii", "replace").decode())
        for name, settings in self._found.get(hashed[:PART], ()):
            if hmac.compare_digest(settings.hash, hashed):
                fresh = settings.expires is None or self._spending.today() < settings.expires
                return (name, settings) if fresh else None
        return None

    def _client(self, name: str, settings: KeySettings) -> Client:
        day = self._spending.day(name, settings.daily_budget)
        return Client(
            name=name,
            scope=day.scope,
            models=frozenset(settings.models),
            strategies=frozenset(each.replace("-", "_") for each in settings.strategies),
            strategy=settings.strategy,
            budget=settings.budget,
            operator=settings.operator,
            record=settings.record,
            settings=settings,
            day=day,
        )


def bearer(header: str | None) -> str | None:
    """The key in an Authorization header, or None."""
    scheme, _, key = (header or "").strip().partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None
