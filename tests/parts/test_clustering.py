"""Clusters of unfinished samples, and how alike two of them are."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.core.key import Key
from outthink.core.sample import Finish, Sample
from outthink.parts import similarity
from outthink.parts.clustering import Clusters


def clustered(answers: list[int], threshold: float, compare: int = 10, most: int = 32) -> Clusters:
    """Clusters by a judge that knows the answers."""
    found = Clusters(threshold, compare, most)
    for item, answer in enumerate(answers):
        found.place(item, [[float(answers[other] == answer) for other in group] for group in found.compared()])
    return found


@given(st.lists(st.integers(0, 4), max_size=12))
def test_a_perfect_judge_gives_the_answers(answers: list[int]) -> None:
    found = clustered(answers, 0.5)
    assert len(found.members) == len(set(answers))
    assert sorted(itertools.chain(*found.members)) == list(range(len(answers)))
    largest = found.largest()
    if len(set(answers)) < len(answers):
        assert len({answers[item] for item in largest}) == 1
        assert len(largest) == max(map(answers.count, answers))
    else:
        assert largest == list(range(len(answers))), "nothing is together: all may vote"
    assert len(clustered(answers, 1.0).members) == len(answers)
    assert len(clustered(answers, -1.0).members) == min(1, len(answers))


@given(st.lists(st.lists(st.floats(0, 1), min_size=9, max_size=9), min_size=9, max_size=9))
def test_a_higher_threshold_never_gives_fewer_clusters(table: list[list[float]]) -> None:
    sizes = []
    for threshold in (0.0, 0.3, 0.6, 0.9):
        found = Clusters(threshold, 1, 99)
        for item in range(9):
            found.place(item, [[table[other][other]] for [other] in found.compared()])
        sizes.append(len(found.members))
    assert sizes == sorted(sizes)


def test_limits() -> None:
    assert clustered([1, 2, 3, 3], 0.5, most=2).members == [[0, 2, 3], [1]]
    found = Clusters(0.5, 2, 9)
    for item in range(4):
        found.place(item, [[1.0] * len(group) for group in found.compared()])
    assert found.compared() == [[0, 1]]


def sample(text: str, **summary: float) -> Sample:
    return Sample(Key("run"), text, Finish.LENGTH, summary=summary)


def test_likeness() -> None:
    one, other = sample("add two and three", mean_logprob=-0.5), sample("add two and four", mean_logprob=-1.0)
    assert similarity.edit(one, other) == pytest.approx(0.75)
    assert similarity.overlap(one, other) == pytest.approx(1 / 3)
    assert similarity.logprob(one, other) == pytest.approx(math.exp(-0.5))
    assert similarity.logprob(one, sample("")) == 0.0
    for rule in (similarity.edit, similarity.overlap):
        assert rule(one, one) == rule(sample(""), sample("")) == 1.0
        assert rule(one, other) == rule(other, one)


def test_a_judge_is_read() -> None:
    assert similarity.same_chance(sample(" Yes.", sum_logprob=math.log(0.8))) == pytest.approx(0.8)
    assert similarity.same_chance(sample("no", sum_logprob=math.log(0.8))) == pytest.approx(0.2)
    assert [similarity.same_chance(sample(text)) for text in ("yes", "no", "maybe")] == [1.0, 0.0, 0.0]
    prompt = similarity.same_question("What is {first}?", one := sample("{second}"), one)
    assert "What is {first}?" in prompt.messages[0].content
