"""Rate limits of keys: requests per minute beforehand, tokens per minute afterwards. Kept in memory; a restart forgives them.

Both are one rule (the generic cell rate algorithm): a key may be at most a minute's worth ahead of its steady rate. Tokens are
known only when they are spent, so a key that took more than a minute's worth pays it off before it is let in again.
"""

from __future__ import annotations

from collections.abc import Callable

from outthink.gateway.keys import Client
from outthink.gateway.refusal import Refusal

MINUTE = 60.0


class Rates:
    """How far each key is ahead of its rates. `now` is a clock in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._paid_until: dict[tuple[str, str], float] = {}  # when the key has paid off what it took

    def take(self, key: Client) -> None:
        """Count one request. Raises Refusal(429), and then counts nothing."""
        settings = key.settings
        for unit, rate in (("requests", settings.requests_per_minute), ("tokens", settings.tokens_per_minute)):
            if rate is None:
                continue
            cost = MINUTE / rate if unit == "requests" else 0.0
            ahead = self._ahead(key.name, unit) + cost - max(MINUTE, cost)
            # Whoever owes a minute's worth of tokens, to the last one, has none left to begin a request with.
            if ahead > 1e-9 or (unit == "tokens" and ahead >= -1e-9):
                wait = max(ahead, 1.0)
                raise Refusal(
                    429, f"key {key.name} may take {rate:g} {unit} per minute", code="rate_limit_exceeded",
                    retry_after=wait, headers=self.headers(key),
                )  # fmt: skip
        if settings.requests_per_minute is not None:
            self._add(key.name, "requests", MINUTE / settings.requests_per_minute)

    def spent(self, key: Client, tokens: int) -> None:
        """Count what a request took."""
        if key.settings.tokens_per_minute is not None and tokens > 0:
            self._add(key.name, "tokens", MINUTE * tokens / key.settings.tokens_per_minute)

    def headers(self, key: Client) -> dict[str, str]:
        """Where the key stands, in the headers that OpenAI's servers send."""
        made = {}
        for unit, rate in (("requests", key.settings.requests_per_minute), ("tokens", key.settings.tokens_per_minute)):
            if rate is not None:
                ahead = self._ahead(key.name, unit)
                left = max(0, int((MINUTE - ahead) / MINUTE * rate + 1e-9))
                made[f"x-ratelimit-limit-{unit}"] = f"{rate:g}"
                made[f"x-ratelimit-remaining-{unit}"] = str(left)
                made[f"x-ratelimit-reset-{unit}"] = f"{ahead:.3f}s"
        return made

    def _ahead(self, name: str, unit: str) -> float:
        return max(0.0, self._paid_until.get((name, unit), 0.0) - self._now())

    def _add(self, name: str, unit: str, seconds: float) -> None:
        self._paid_until[name, unit] = self._now() + self._ahead(name, unit) + seconds
