"""How much verifiers said in one run: one that never gives a score guides nothing, and the user must be told."""

from __future__ import annotations

from collections.abc import Sequence

from outthink.core.verifier import Verifier


class Scored:
    """How many samples each verifier was asked about, and how many it scored."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[Verifier, int, int]] = {}

    def add(self, verifier: Verifier, scores: Sequence[float | None]) -> None:
        """Count what a verifier said of some samples."""
        _, asked, heard = self._asked.get(verifier.name, (verifier, 0, 0))
        known = len(scores) - sum(score is None for score in scores)
        self._asked[verifier.name] = verifier, asked + len(scores), heard + known

    def remark(self) -> str:
        """A sentence about those that never gave one, with the `silence` that they explain it by; "": there is none."""
        found = []
        for name, (verifier, asked, heard) in self._asked.items():
            if asked and not heard:
                why = getattr(verifier, "silence", "")
                found.append(f"verifier {name} gave no score to any of {asked} samples" + (f": {why}" if why else ""))
        return "; ".join(found)

    def unanswered(self) -> str:
        """Why a strategy that ended by itself has no answer."""
        gaps = [
            f"verifier {name} gave no score to {asked - heard} of {asked} samples"
            for name, (_, asked, heard) in self._asked.items()
            if asked > heard
        ]
        return self.remark() or "no sample holds a valid answer" + (f" that was scored: {'; '.join(gaps)}" if gaps else "")
