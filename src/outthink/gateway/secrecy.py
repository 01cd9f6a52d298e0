"""Keeps keys out of whatever is written: logs, traces, error messages, pages. The last defence, not the only one."""

from __future__ import annotations

import re
from collections.abc import Iterable

HIDDEN = "[key]"
_KEYS = re.compile(r"\bot-[A-Za-z0-9_-]{20,}|\bsk-[A-Za-z0-9_-]{16,}|(?<=[Bb]earer )[^\s\"'\\,;]{8,}")
"""What looks like a key of ours or of OpenAI's, and whatever stands behind `Bearer`."""
SHORTEST = 6
"""A shorter secret isn't searched for: it would blank out ordinary words."""


class Hider:
    """Takes secrets out of texts. `secrets` are those that the gateway knows: the keys of its upstreams."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these too; what was once a secret is hidden for good."""
        found = {*self._secrets, *(each for each in secrets if len(each) >= SHORTEST)}
        self._secrets = tuple(sorted(found, key=len, reverse=True))  # one may hold another

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return _KEYS.sub(HIDDEN, text) if "ot-" in text or "sk-" in text or "earer " in text else text
