"""Equivalence classes: order doesn't matter where keys decide, and near-equals never chain."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from outthink.tasks.classes import Classes


def near(one: str, other: str) -> bool:
    return abs(int(one) - int(other)) <= 1


def test_a_chain_of_near_equals_does_not_merge_its_ends():
    classes = Classes([], key=lambda answer: None, equal=near)
    assert [classes.of(answer) for answer in ("1", "2", "3", "3", "4")] == ["1", "1", "3", "3", "3"]


def test_known_classes_go_first_and_keep_their_names():
    classes = Classes(["7", "2"], key=lambda answer: None, equal=near)
    assert [classes.of(answer) for answer in ("1", "8", "5")] == ["2", "7", "5"]


def test_keys_make_order_irrelevant():
    answers = ["a", "A", "b", "B", "a"]
    for order in permutations(range(5)):
        classes = Classes([], key=str.lower)
        assert {answers[i]: classes.of(answers[i]) for i in order} == {"a": "a", "A": "a", "b": "b", "B": "b"}


@given(st.lists(st.integers(0, 9).map(str)), st.integers(0, 20))
def test_answers_in_two_batches_are_classed_as_in_one(answers, cut):
    together = Classes([], key=lambda answer: None, equal=near)
    whole = [together.of(answer) for answer in answers]
    first = Classes([], key=lambda answer: None, equal=near)
    head = [first.of(answer) for answer in answers[:cut]]
    second = Classes(dict.fromkeys(head), key=lambda answer: None, equal=near)
    assert head + [second.of(answer) for answer in answers[cut:]] == whole
