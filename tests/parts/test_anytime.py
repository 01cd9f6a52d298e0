"""What the offers of a run are charged with."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.budget import NOTHING, Usage
from outthink.core.key import Key
from outthink.core.run import Run
from outthink.core.sample import Finish, Sample, Samples
from outthink.core.selection import Selection
from outthink.parts.anytime import offered


class Host:
    """The part of a host that offering needs."""

    name, seed = "run", 0

    def __init__(self, total: Usage) -> None:
        self.total = total
        self.books = self
        self.offers: list[tuple[Selection, Usage]] = []

    def spent(self, path: tuple[int, ...]) -> Usage:
        return self.total

    def offer(self, path: tuple[int, ...], selection: Selection, spent: Usage) -> None:
        self.offers.append((selection, spent))


def usage(tokens: int) -> Usage:
    return Usage(samples=1, calls=1, prompt_tokens=3, completion_tokens=tokens, seconds=tokens / 10)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=9), st.integers(0, 100))
def test_offers_grow_to_everything_spent(tokens: list[int], judged: int) -> None:
    samples = Samples(tuple(Sample(Key("run", (), 0, at), "", Finish.EOS, usage=usage(n)) for at, n in enumerate(tokens)))
    own = sum((sample.usage for sample in samples), NOTHING)
    books = Host(own + Usage(calls=len(tokens), completion_tokens=judged, seconds=0.5))
    selections = [Selection(str(at)) for at in range(len(tokens))]
    assert offered(Run(books), samples, selections) == selections[-1]  # type: ignore[arg-type]
    assert [selection for selection, _ in books.offers] == selections
    spent = [used for _, used in books.offers]
    assert (spent[-1].tokens, spent[-1].calls, spent[-1].samples) == (books.total.tokens, books.total.calls, len(tokens))
    assert spent[-1].seconds == pytest.approx(books.total.seconds)
    assert all(one.tokens <= other.tokens and one.calls <= other.calls for one, other in pairwise(spent))
    for k, used in enumerate(spent, start=1):
        assert (used.samples, used.calls) == (k, 2 * k)
        assert used.completion_tokens >= sum(tokens[:k])  # never less than the samples themselves


def test_unknown_money_stays_unknown_and_no_samples_are_no_answer() -> None:
    samples = Samples((Sample(Key("run", (), 0, 0), "", Finish.EOS, usage=Usage(samples=1, usd=None)),))
    books = Host(Usage(samples=1, calls=3, usd=None))
    offered(Run(books), samples, [Selection("a")])  # type: ignore[arg-type]
    assert [used.usd for _, used in books.offers] == [None]
    assert offered(Run(books), Samples(()), []) == Selection(None)  # type: ignore[arg-type]
