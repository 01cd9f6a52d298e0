"""What a verifier must give. Verifiers themselves live in `outthink.verifiers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from outthink.core.capability import Roles
from outthink.core.logprobs import LogprobNeed
from outthink.core.problem import Problem
from outthink.core.sample import Sample

if TYPE_CHECKING:
    from outthink.core.run import Run


@runtime_checkable
class Verifier(Protocol):
    """Anything that scores samples. Like a strategy it only awaits operations, so its own calls are charged and journalled.

    name:     identifies it, with its parameters, for fingerprints and messages
    oracle:   it sees gold answers: labelled as such everywhere, and refused in `solve`
    logprobs: what it needs recorded with each sample, or None
    roles:    roles that it calls itself, such as {"judge"}; as a mapping also what each must be able to do (see `Roles`)
    """

    name: str
    oracle: bool
    logprobs: LogprobNeed | None

    @property
    def roles(self) -> Roles:  # read-only, so that a frozenset or a dict will do
        ...

    async def score(self, run: Run, problem: Problem, samples: Sequence[Sample]) -> list[float | None]:
        """One number per sample in the same order, higher is better; None where it can't say."""
        ...
