"""Hedged sampling (arXiv:2506.20544): the temperatures of a pool of samples with one greedy member."""

from __future__ import annotations


def temperatures(hedge: bool) -> tuple[float | None, ...]:
    """For `Run.generate`: the first sample greedy and the others at the user's temperature, or (no hedge) all at that."""
    return (0.0, None) if hedge else ()
