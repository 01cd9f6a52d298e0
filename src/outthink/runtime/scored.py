"""How much verifiers said in one run: one that never gives a score guides nothing, and the user must be told."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.verifier import Verifier


class Scored:
    """How many samples each verifier was asked about, and which gave any score at all."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[Verifier, int]] = {}
        self._heard: set[str] = set()

    def add(self, verifier: Verifier, scores: Sequence[float | None]) -> None:
        """Count what a verifier said of some samples."""
        if any(score is not None for score in scores):
            self._heard.add(verifier.name)
        elif scores and verifier.name not in self._heard:
            _, before = self._asked.get(verifier.name, (verifier, 0))
            self._asked[verifier.name] = verifier, before + len(scores)

    def remark(self) -> str:
        """A sentence about those that never gave one, with the `silence` that they explain it by; "": there is none."""
        found = []
        for name, (verifier, count) in self._asked.items():
            if name not in self._heard:
                why = getattr(verifier, "silence", "")
                found.append(f"verifier {name} gave no score to any of {count} samples" + (f": {why}" if why else ""))
        return "; ".join(found)
