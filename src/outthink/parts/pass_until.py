"""When to stop sampling for a success rate: after so many passes, or at a cap. What counts then say is `laws.pass_until`'s."""

from __future__ import annotations

from dataclasses import dataclass

from outthink.core.errors import BadInput


@dataclass(frozen=True, slots=True)
class PassUntil:
    """Draw until `passes` samples are right or `cap` are drawn (arXiv:2310.03262).

    Two passes or more allow an unbiased estimate; the paper's single one overstates small rates several times.
    """

    passes: int = 5
    cap: int = 10_000

    def __post_init__(self) -> None:
        if not 1 <= self.passes <= self.cap:
            raise BadInput(f"{self.passes} passes in {self.cap} samples can't be waited for", where="pass until")

    def wanted(self, drawn: int, passed: int) -> int:
        """How many more to draw at once; 0: stop. Never one too many: as many passes as are missing take at least that many."""
        return max(0, min(self.passes - passed, self.cap - drawn))
