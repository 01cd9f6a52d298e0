"""Where a text states its answer."""

import pytest

from outthink.tasks.extraction import after_phrase, last_boxed, last_number


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{5}.", "5"),
        (r"\boxed{1} no, \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\fbox{9}", "9"),
        (r"\boxed{\text{a \} b}}", r"\text{a \} b}"),
        (r"\boxed{3} and then \boxed{4 (cut", "3"),
        (r"\boxed{} \boxed{ }", None),
        (r"\boxed 5", "5"),
        ("no box", None),
        ("}}}} {{{{", None),
    ],
)
def test_the_last_box_that_closes(text, answer):
    assert last_boxed(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 5. I hope it is correct.", "5"),
        ("**Answer:** 3.5 apples", "3.5 apples"),
        ("Answer: Paris\nbecause", "Paris"),
        ("The answer is 4. No, the final answer is $x^2 + 1$, so", "x^2 + 1"),
        ("Final answer:\n\\[ 7 \\]", "7"),
        ("5 + 5 = 10\n#### 10", "10"),
        ("The answer depends.", None),
        ("answer is", None),
        ("", None),
    ],
)
def test_the_last_phrase(text, answer):
    assert after_phrase(text) == answer


@pytest.mark.parametrize(
    ("text", "number"),
    [("3 + 4 = 7.", "7"), ("costs $1,250.50 now", "1,250.50"), ("5-3", "3"), ("x = -3", "-3"), ("v2 model", None), ("", None)],
)
def test_the_last_number(text, number):
    assert last_number(text) == number


@pytest.mark.parametrize(
    "text", [r"\boxed{" * 200_000, "{" * 10**6, "answer " * 200_000, "answer is " * 100_000, "$" * 10**6, "answer" + " " * 10**6]
)
def test_megabytes_take_linear_time(text):
    found = last_boxed(text), after_phrase(text), last_number(text)  # quadratic time would run into the test's limit
    assert all(part is None or len(part) < len(text) for part in found)
