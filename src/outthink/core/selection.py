"""What a strategy returns (`Selection`), and what a user gets (`Result`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from outthink.core.budget import NOTHING, Usage
from outthink.core.sample import Failure, Sample
from outthink.core.shown import Shown, Shows

MOST_VOTES = 8
"""Answers that a notebook shows the votes of."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The answer that a strategy chose.

    answer:       the chosen answer's text; None: nothing valid
    answer_class: its equivalence class
    confidence:   share of the vote, or a score: what it means is the strategy's; None: unknown
    sample:       the sample it is taken from
    votes:        weight of every answer class, heaviest first
    tie:          another class had the same weight; the documented rule chose
    submissions:  answer classes that are handed in together, best first, by strategies that may hand in several (pass@k: right
                  if any of them is); empty: the answer alone
    """

    answer: str | None
    answer_class: str | None = None
    confidence: float | None = None
    sample: Sample | None = None
    votes: Mapping[str, float] = field(default_factory=dict)
    tie: bool = False
    submissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """An answer on the way: the best one known when `usage` had been spent."""

    selection: Selection
    usage: Usage


class Stop(StrEnum):
    """Why a run ended."""

    FINISHED = "finished"  # the strategy returned
    BUDGET = "budget"  # a budget was spent; the best offer is the answer
    FAILED = "failed"  # an error of ours: see `reason`
    CANCELLED = "cancelled"  # the user left


@dataclass(frozen=True, slots=True)
class Result(Shows):
    """One finished run.

    problem_id, strategy: which run
    answer:     the chosen answer's text, or None: `reason` then says why there is none
    selection:  all about the choice, or None
    stop, reason: why the run ended, in a word and in a sentence ("" when it simply finished)
    usage:      everything it cost
    wall_seconds: time from its start to its end, summed over resumes
    offers:     the answers on the way, in order of spending: the run's whole curve
    samples:    every delivered sample in key order (empty where the caller asked not to keep them)
    failed:     the samples that never arrived
    cut:        a budget stopped something of what the strategy asked for
    missed:     a replay ended because it asked for what was never recorded
    repeatable: the same run gives the same answer again: the backend repeats seeds, no budget bound and nothing raced
    correct:    by the gold answer, where there is one and the caller asked to grade; else None
    """

    problem_id: str
    strategy: str
    answer: str | None
    selection: Selection | None
    stop: Stop
    reason: str = ""
    usage: Usage = NOTHING
    wall_seconds: float = 0.0
    offers: tuple[Offer, ...] = ()
    samples: tuple[Sample, ...] = ()
    failed: tuple[Failure, ...] = ()
    cut: bool = False
    missed: bool = False
    repeatable: bool = False
    correct: bool | None = None

    @property
    def confidence(self) -> float | None:
        """The selection's confidence."""
        return None if self.selection is None else self.selection.confidence

    @property
    def curve(self) -> list[dict[str, Any]]:
        """The answers on the way, each with what had been spent: rows for a data frame."""
        return [
            {"answer": offer.selection.answer, "confidence": offer.selection.confidence, **offer.usage.fields(),
             "tokens": offer.usage.tokens}
            for offer in self.offers
        ]  # fmt: skip

    def shown(self) -> Shown:
        """The answer, and which answers got how many votes."""
        votes = sorted((self.selection.votes if self.selection else {}).items(), key=lambda vote: -vote[1])[:MOST_VOTES]
        return Shown(str(self), ("answer", "votes") if votes else (), [(name, f"{weight:.4g}") for name, weight in votes])

    def __str__(self) -> str:
        spent = f"{self.usage.samples} samples, {self.usage.tokens} tokens, {self.wall_seconds:.1f} s"
        if self.answer is None:
            return f"no answer: {self.reason} ({spent})"
        sure = "" if self.confidence is None else f", confidence {self.confidence:.2f}"
        return f"{self.answer} ({self.strategy}{sure}; {spent})"
