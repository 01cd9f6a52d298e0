"""Voting: what must hold for any votes, and worked numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.errors import BadInput
from outthink.core.key import Key
from outthink.core.sample import Finish, Sample
from outthink.core.selection import Selection
from outthink.core.task import INVALID, Answer
from outthink.parts import weights
from outthink.parts.voting import Best, Tally, growing

answers = st.sampled_from([Answer("a", "a"), Answer("b", "b"), Answer("c", "c"), INVALID])
scores = st.one_of(st.none(), st.floats(0, 10), st.sampled_from([0.0, 0.5, 1.0]))
votes = st.lists(st.tuples(answers, scores), max_size=12)


def sample(index: int) -> Sample:
    return Sample(Key("run", (), 0, index), f"text {index}", Finish.EOS)


def chosen(given: list[tuple[Answer, float | None]], *, scored: bool = True, **how: object) -> Selection:
    samples = [sample(index) for index in range(len(given))]
    picked = list(growing(samples, [answer for answer, _ in given], [score for _, score in given] if scored else None, **how))
    return picked[-1] if picked else Selection(None)


def by_hand(given: list[tuple[Answer, float | None]]) -> str | None:
    """Weighted majority written out: the highest sum of scores, of equals the first."""
    sums: dict[str, list[float]] = {}
    for answer, score in given:
        if answer.text is not None and score is not None:
            sums.setdefault(answer.text, []).append(score)
    totals = {text: sum(map(_fraction, found)) for text, found in sums.items()}
    return max(totals, key=lambda text: totals[text]) if totals else None


def _fraction(value: float) -> object:
    from fractions import Fraction

    return Fraction(value)


@given(votes)
def test_weighted_is_the_highest_sum(given: list[tuple[Answer, float | None]]) -> None:
    found = chosen(given)
    assert found.answer == by_hand(given)
    assert list(found.votes.values()) == sorted(found.votes.values(), reverse=True)
    if found.answer is not None:
        assert found.sample is not None
        assert next(iter(found.votes)) == found.answer_class
        assert found.confidence is None or math.isclose(
            found.confidence, found.votes[found.answer] / math.fsum(found.votes.values())
        )


@given(votes, st.randoms(use_true_random=False))
def test_order_decides_nothing_but_ties(given: list[tuple[Answer, float | None]], chance: object) -> None:
    shuffled = list(given)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    for how in ({}, {"scored": False}, {"tally": Best}, {"weigh": weights.borda}, {"weigh": weights.minmax}):
        one, other = chosen(given, **how), chosen(shuffled, **how)
        assert (one.tie, one.answer is None) == (other.tie, other.answer is None)
        assert dict(one.votes) == pytest.approx(dict(other.votes))
        if not one.tie:
            assert one.answer == other.answer


@given(votes, st.integers(0, 12))
def test_an_invalid_sample_changes_nothing(given: list[tuple[Answer, float | None]], at: int) -> None:
    longer = [*given[:at], (INVALID, 3.0), *given[at:]]
    for how in ({}, {"scored": False}, {"tally": Best}, {"weigh": weights.borda}, {"weigh": weights.majority_of_the_bests}):
        one, other = chosen(given, **how), chosen(longer, **how)
        assert (one.answer, one.votes, one.tie, one.confidence) == (other.answer, other.votes, other.tie, other.confidence)


@given(votes)
def test_every_prefix_is_a_choice_of_its_own(given: list[tuple[Answer, float | None]]) -> None:
    samples = [sample(index) for index in range(len(given))]
    for how in ({}, {"tally": Best}, {"weigh": weights.softmax}):
        grown = growing(samples, [answer for answer, _ in given], [score for _, score in given], **how)
        for k, prefix in enumerate(grown, start=1):
            alone = chosen(given[:k], **how)
            assert (prefix.answer, prefix.tie, prefix.confidence, prefix.sample) == (
                alone.answer,
                alone.tie,
                alone.confidence,
                alone.sample,
            )


@given(st.lists(answers, min_size=1, max_size=12), st.floats(0.001, 1000))
def test_equal_scores_make_a_majority(given: list[Answer], score: float) -> None:
    majority = chosen([(answer, None) for answer in given], scored=False)
    for how in ({}, {"tally": Best}, {"weigh": weights.borda}, {"weigh": weights.minmax}, {"weigh": weights.softmax}):
        assert chosen([(answer, score) for answer in given], **how).answer == majority.answer


@given(votes)
def test_best_is_the_argmax(given: list[tuple[Answer, float | None]]) -> None:
    found = chosen(given, tally=Best)
    heard = [score for answer, score in given if answer.valid and score is not None]
    assert found.confidence == (max(heard) if heard else None)
    if found.sample is not None:
        assert given[found.sample.key.index] == (Answer(found.answer, found.answer_class), found.confidence)


def test_ties_go_to_the_higher_scores_then_to_the_first() -> None:
    a, b = Answer("a", "a"), Answer("b", "b")
    first = chosen([(a, None), (b, None)], scored=False)
    assert (first.answer, first.tie, first.confidence) == ("a", True, 0.5)
    tally = Tally()
    tally.add(sample(0), a, 1, 0.2)
    tally.add(sample(1), b, 1, 0.9)
    assert (tally.selection().answer, tally.selection().tie) == ("b", True)
    tally.add(sample(2), a, 1, 0.1)
    assert (tally.selection().answer, tally.selection().tie, tally.selection().sample) == ("a", False, sample(0))


def test_negative_scores_without_weight_can_lose_the_lead() -> None:
    tally = Tally()
    tally.add(sample(0), Answer("a", "a"), 1, 0.5)
    tally.add(sample(1), Answer("b", "b"), 1, 0.0)
    tally.add(sample(2), Answer("a", "a"), 0, -2.0)
    assert (tally.selection().answer, tally.selection().tie) == ("b", True)


def test_a_class_is_represented_by_its_best_sample_as_the_model_wrote_it() -> None:
    half, other = Answer("0.5", "1/2"), Answer("1/2", "1/2")
    found = chosen([(half, 0.1), (other, 0.7), (half, None)])
    assert (found.answer, found.answer_class, found.sample, dict(found.votes)) == ("1/2", "1/2", sample(1), {"1/2": 0.1 + 0.7})


def test_nothing_valid_is_no_answer() -> None:
    assert chosen([(INVALID, 1.0), (INVALID, None)]) == Selection(None)
    assert chosen([(Answer("a", "a"), None)]) == Selection(None)
    assert chosen([]) == Selection(None)


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf, -math.inf])
def test_what_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(BadInput, match="must be"):
        chosen([(Answer("a", "a"), weight)])


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_what_is_no_score_is_refused(score: float) -> None:
    for how in ({"tally": Best}, {"weigh": weights.borda}, {"weigh": weights.softmax}, {"weigh": weights.minmax}):
        with pytest.raises(BadInput, match="must be finite"):
            chosen([(Answer("a", "a"), score)], **how)


def test_a_vote_takes_constant_time() -> None:
    # Ten thousand classes: anything that walks them at every vote would take minutes.
    samples = [sample(0)] * 10_000
    last = list(growing(samples, [Answer(str(at), str(at)) for at in range(10_000)]))[-1]
    assert (last.answer, last.tie, len(last.votes)) == ("0", True, 10_000)
