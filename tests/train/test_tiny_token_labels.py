"""Labels of single tokens, against all right answers written out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import permutations, product

import pytest

from outthink.tasks.countdown_solver import Numbers, result
from train.tiny.token_labels import alive
from train.tiny.vocabulary import END, IDS, decode, encode


def right_answers(numbers: tuple[int, ...], target: int) -> Iterator[str]:
    """Every right answer with whole lines, by brute force over ordered pairs."""
    if len(numbers) == 1:
        if numbers == (target,):
            yield ""
        return
    for i, j in permutations(range(len(numbers)), 2):
        rest = [number for at, number in enumerate(numbers) if at not in (i, j)]
        for operator in "+-*/":
            value = result(numbers[i], operator, numbers[j])
            if value is None:
                continue
            states = {"," + " ".join(map(str, order)) for order in permutations([*rest, value])} | ({""} if not rest else set())
            endings = list(right_answers((*rest, value), target))
            for state, ending in product(states, endings):
                yield f"{numbers[i]}{operator}{numbers[j]}={value}{state}\n{ending}"


@pytest.mark.parametrize(("numbers", "target"), [((3, 5, 8), 64), ((2, 2, 6), 10), ((4, 25), 29), ((1, 7, 7), 15)])
def test_a_token_is_alive_where_some_right_answer_begins_so(numbers: Numbers, target: int) -> None:
    answers = set(right_answers(numbers, target))
    assert answers
    beginnings = set()
    for answer in answers:
        for ids in ([*encode(answer), END], [*encode(answer.removesuffix("\n")), END]):
            beginnings |= {tuple(ids[:length]) for length in range(1, len(ids) + 1)}
    chance = random.Random(0)
    for answer in chance.sample(sorted(answers), min(len(answers), 40)):
        ids = [*encode(answer), END]
        assert all(alive(numbers, target, ids))
        for _ in range(20):  # any one token is another, and all prefixes are judged
            at = chance.randrange(len(ids))
            other = chance.choice([END, *IDS.values(), *ids])
            tried = [*ids[:at], other, *ids[at + 1 :], other]
            expected = [tuple(tried[: length + 1]) in beginnings for length in range(len(tried))]
            assert alive(numbers, target, tried) == expected


def test_a_number_cut_in_two_is_no_number() -> None:
    whole, cut = encode("25/5=5,5 6 13\n"), [*encode("25/5=5,5 6 "), IDS["1"], IDS["3"], IDS["\n"]]
    assert decode(whole) == decode(cut)
    assert all(alive((5, 6, 13, 25), 59, whole))
    assert alive((5, 6, 13, 25), 59, cut)[-3:] == [False] * 3
