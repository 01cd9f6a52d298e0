"""What the tiny models are taught: documents that are right, held-out problems that are left out, labels that are true."""

from __future__ import annotations

import random
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from outthink.tasks import calc, countdown
from outthink.tasks.countdown_solver import reachable, replay
from train.tiny.data import IGNORED, KINDS, LONGEST_TRACE, ROW, Rows
from train.tiny.vocabulary import BEGIN, END, IDS, TOKENS, decode, encode


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    assert decode(encode(text)) == text.encode("utf-8", "replace").decode()


def test_words_and_numbers_are_one_token_each() -> None:
    assert len(TOKENS) == len(set(TOKENS)) == 375
    pieces = ["make ", "59", " from ", "5", " ", "6", " ", "13", " ", "25", "\n"]
    assert encode("make 59 from 5 6 13 25\n") == [IDS[piece] for piece in pieces]


def test_direct_solutions_are_right_and_none_is_of_a_held_out_problem() -> None:
    chance = random.Random(1)
    for _ in range(200):
        prompt, *lines, end = decode(KINDS["make"](chance).ids).split("\n")
        numbers, target = countdown.read(countdown.Problem(prompt))
        assert replay(numbers, lines) == (target,)
        assert not end
        assert not countdown.is_held_out(numbers, target)


def test_searches_hold_legal_lines_of_a_state_seen_before_and_end_in_a_right_answer() -> None:
    chance = random.Random(2)
    for _ in range(100):
        document = KINDS["search"](chance)
        prompt, *lines, answer, end = decode(document.ids).split("\n")
        numbers, target = countdown.read(countdown.Problem(prompt.replace("search", "make")))
        assert not end
        assert len(document.ids) <= LONGEST_TRACE
        assert replay(numbers, answer.removeprefix("answer ").split(" "), bare=True) == (target,)
        states = {len(numbers): numbers}
        for line in lines:
            if line.startswith("back "):
                assert tuple(map(int, line.removeprefix("back ").split(" "))) == states[max(states)]
                continue
            size = 1 + (len(line.partition(",")[2].split(" ")) if "," in line else 1)
            after = replay(states[size], [line])
            assert after is not None
            states[len(after)] = after


def test_sums_are_right() -> None:
    chance = random.Random(3)
    for _ in range(50):
        prompt, *lines, _ = decode(KINDS["calc"](chance).ids).split("\n")
        assert lines == calc.steps_of(prompt)
        assert not calc.is_held_out(prompt)


def test_rows_hold_whole_documents_and_prompts_are_not_learned() -> None:
    for ids, labels in islice(Rows({"make": 0.5, "calc": 0.5}, 4), 20):
        assert len(ids) == len(labels) == ROW + 1
        assert ids[0] == BEGIN
        learned = [token for token, label in zip(ids, labels, strict=True) if label != IGNORED]
        assert learned == [label for label in labels if label != IGNORED]
        assert learned[-1] == END
        assert BEGIN not in learned
        assert learned.count(END) == ids.count(BEGIN)
    assert list(islice(Rows({"make": 1.0}, 5), 3)) == list(islice(Rows({"make": 1.0}, 5), 3))


def test_the_solver_agrees_that_documents_can_be_solved() -> None:
    chance = random.Random(6)
    assert all(target in reachable(numbers) for numbers, target in (countdown.drawn(chance, 3) for _ in range(100)))
