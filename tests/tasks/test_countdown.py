"""Countdown: the rules against brute force, the checker against the ways to be wrong, held-out problems by construction."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink import tasks
from outthink.core.errors import BadInput
from outthink.core.problem import Problem
from outthink.tasks import calc, countdown
from outthink.tasks.countdown_solver import LARGEST, after_line, line_of, moves, reachable, replay

PROBLEM = Problem("make 59 from 5 6 13 25", gold="59")
RIGHT = "25/5=5,5 6 13\n13*5=65,6 65\n65-6=59"
NUMBERS = st.lists(st.integers(1, 25), min_size=2, max_size=4).map(sorted).map(tuple)


def brute_force(numbers: tuple[int, ...]) -> set[int]:
    """By all orders of the numbers, with no memo and no shared rule."""
    if len(numbers) == 1:
        return set(numbers)
    made = set()
    for a, b, *rest in itertools.permutations(numbers):
        results = {a + b, a - b}
        if a > 1 and b > 1:
            results |= {a * b} | ({a // b} if a % b == 0 else set())
        for value in results:
            if 1 <= value <= LARGEST:
                made |= brute_force((value, *rest))
    return made


@given(NUMBERS)
def test_what_is_reachable_is_what_brute_force_makes(numbers: tuple[int, ...]) -> None:
    assert reachable(numbers) == brute_force(numbers)


@given(NUMBERS)
def test_every_move_is_replayed_as_it_is_written(numbers: tuple[int, ...]) -> None:
    for *move, after in moves(numbers):
        assert after_line(numbers, line_of(*move, after)) == after


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("25/5=5,5 6 13\n13*5=65,6 65\n65-6=60", "false arithmetic"),
        ("25/5=5,5 6 13\n13*5=65,6 65\n65-7=58", "a number that isn't there"),
        ("25/5=5,5 5 6 13\n13*5=65,6 65\n65-6=59", "a used number stays"),
        ("25/5=5,5 6 13\n13*5=65,65\n65-6=59", "a number is lost"),
        ("25/5=5\n13*5=65\n65-6=59", "steps without the numbers left"),
        ("25/5=5,5 6 13\n13*5=65,6 65\n65+6=71", "another target"),
        ("25/5=5,5 6 13\n13*5=65,6 65\n6-65=59", "a negative difference"),
        ("25/5=5,5 6 13\n13*5=65,6 65\n65-6=59\n59*1=59", "an extra step"),
        ("25/5=5,5 6 13\n13*5=65,6 65", "a step too few"),
    ],
)
async def test_a_flawed_derivation_is_wrong(lines: str, why: str) -> None:
    task = tasks.load("countdown")
    answer = (await task.answers(PROBLEM, [lines], []))[0]
    assert await task.grade(PROBLEM, [answer.text]) == [False], why


async def test_a_right_derivation_is_right_and_derivations_are_classes() -> None:
    task = tasks.load("countdown")
    other = "25/5=5,5 6 13\n5*13=65,65 6\n65-6=59"
    answers = await task.answers(PROBLEM, [RIGHT + "\n", other, RIGHT, "no idea"], [])
    assert await task.grade(PROBLEM, [answer.text for answer in answers]) == [True, True, True, False]
    assert answers[0].answer_class == answers[2].answer_class != answers[1].answer_class
    assert not answers[3].valid


async def test_the_answer_of_a_search_is_its_last_line() -> None:
    task = tasks.load("countdown_search")
    text = "25+5=30,6 13 30\nback 5 6 13 25\n25/5=5,5 6 13\nanswer {}\n"
    given = [text.format(line) for line in ("25/5=5 13*5=65 65-6=59", "13*5=65 25/5=5 65-6=59", "25/5=5 65-6=59", "59")]
    answers = await task.answers(PROBLEM, [*given, "25/5=5,5 6 13"], [])
    assert [answer.valid for answer in answers] == [True, True, False, False, False]
    assert await task.grade(PROBLEM, [answer.text for answer in answers]) == [True, False, False, False, False]
    assert task.prompt(PROBLEM).text == "search 59 from 5 6 13 25\n"


@given(NUMBERS.filter(lambda numbers: len(numbers) > 2), st.data())
def test_the_value_of_a_partial_solution_is_whether_it_can_still_be_solved(numbers: tuple[int, ...], data: st.DataObject) -> None:
    target = data.draw(st.integers(1, LARGEST))
    problem = Problem(countdown.text_of(numbers, target))
    text, left = "", numbers
    while len(left) > 1 and moves(left):
        expected = float(target in brute_force(left))
        assert countdown.value(problem, text) == expected
        *move, left = data.draw(st.sampled_from(moves(left)))
        text += line_of(*move, left) + "\n"
    assert countdown.value(problem, text) == float(target in brute_force(left))


def test_complete_lines_only_have_a_value() -> None:
    assert countdown.value(PROBLEM, RIGHT) == countdown.value(PROBLEM, "25/5=5,5 6 13\n") == 1
    assert countdown.value(PROBLEM, "25/5=5,5 6") == countdown.value(PROBLEM, RIGHT + "\n59-1=58") == 0
    assert not countdown.complete(PROBLEM, RIGHT)
    assert countdown.complete(PROBLEM, RIGHT + "\n")


@pytest.mark.parametrize("text", ["make 59", "make 0 from 1 2", "make 59 from 5", "make 59 from 1 2 3 4 5 6 7", "solve 59"])
def test_a_text_that_is_no_problem_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no Countdown problem"):
        tasks.load("countdown").prompt(Problem(text))


def test_problems_are_solvable_distinct_and_split_by_hash() -> None:
    held_out, training = countdown.problems(60, seed=3), countdown.problems(60, seed=3, split="training")
    assert held_out[:20] == countdown.problems(20, seed=3)
    assert len({problem.text for problem in held_out + training}) == 120
    for problem in held_out + training:
        numbers, target = countdown.read(problem)
        assert target in reachable(numbers)
        assert countdown.is_held_out(numbers, target) == (problem in held_out)
    with pytest.raises(BadInput, match="numbers"):
        countdown.problems(1, numbers=9)


def test_replay_ends_with_the_last_number() -> None:
    assert replay((2, 3), ["3+2=5", "5+1=6"]) is None
    assert replay((2, 3), ["3+2=5,5"]) == (5,)


async def test_calc_counts_from_left_to_right_modulo_100() -> None:
    task, problem = tasks.load("calc"), Problem("calc 37*4-18+25", gold="55")
    assert calc.steps_of(problem.text) == ["37*4=48", "48-18=30", "30+25=55"]
    answers = await task.answers(problem, ["37*4=48\n48-18=30\n30+25=55\n", "37*4=48", "1+1=1\n2+2=2\n5*5=55"], [])
    assert [answer.text for answer in answers] == ["55", None, "55"]
    assert await task.grade(problem, ["55", None, "5"]) == [True, False, False]
    assert calc.value(problem, "37*4=48\n48-18=30\n") == 1
    assert calc.value(problem, "37*4=49\n") == 0
    made = calc.problems(30, seed=1)
    assert all(calc.is_held_out(one.text) and calc.steps_of(one.text)[-1].endswith(f"={one.gold}") for one in made)
    with pytest.raises(BadInput, match="is no problem"):
        task.prompt(Problem("calc 4"))
