"""Quantities: what is one number, what isn't, and when two are the same."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outthink.tasks.numbers import quantity, tidy

SAME = {
    "1/2": ["0.5", ".50", r"\frac12", r"\frac{1}{2}", r"\dfrac{1}{2}", r"\frac 12", "½", "2/4", r"$\frac{1}{2}$", "0.5."],
    "-3/4": ["-0.75", "−0.75", r"-\frac{3}{4}", r"\frac{-3}{4}"],
    "3/2": [r"1\frac{1}{2}", "1 1/2", "1.5", "1½"],
    "1234": ["1,234", "1{,}234", r"1\,234", "$1,234", r"\$1234.00", "1234 dollars", "১২৩৪"],
    "5": [r"5 \text{ cm}", "5 cm", "5cm", r"5\text{ cm}^2", "5 trinkets", "5Trinkets", "5^\\circ", "5°", "5th", r"5^{th}grade"],
    "1500": [r"1.5 \times 10^3", r"1.5\cdot10^{3}", "1.5e3", "1.5 thousand"],
    "1/6": [r"0.1\overline{6}", "1/6"],
}
NOT_ONE_NUMBER = [
    "", "-", ".", "x", "3x", "3 xy", "2abc", "x=5", "(1,2)", "1,2", "1,23", "5 or 6", r"3 \text{ and } -3", r"2\pi", "2 pi",
    "1/0", "3-4", "3:30", "2516_8", r"\frac{1", "5 hours and 3 minutes", "9" * 301, r"\text{Evelyn}", "nan", "inf", "1e9999",
]  # fmt: skip


@pytest.mark.parametrize(("key", "texts"), SAME.items())
def test_one_value_has_one_key_however_it_is_written(key, texts):
    assert {text: quantity(text) and quantity(text).key for text in texts} == dict.fromkeys(texts, key)


@pytest.mark.parametrize("text", NOT_ONE_NUMBER)
def test_more_or_less_than_one_number_is_none(text):
    assert quantity(text) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("50%", "0.5", True),
        (r"50\%", "50", True),
        ("50%", "50 percent", True),
        ("50%", "5", False),
        ("0.333333", "1/3", True),
        ("0.333", "1/3", False),
        ("0.666666", "2/3", True),  # cut off rather than rounded
        ("3.14159265", "3.1415927", True),
        ("1234.56", "1234.57", False),
        (".0000672", ".000067", False),
        ("10 am", "10 pm", False),
        ("10 a.m.", "10", True),
    ],
)
def test_near_equality(one, other, same):
    assert quantity(one).equals(quantity(other)) is quantity(other).equals(quantity(one)) is same
    assert None in (quantity(one).key, quantity(other).key) or not same


@given(st.fractions(max_denominator=10**6), st.integers(0, 5))
def test_what_is_written_is_what_is_read(value, places):
    assert quantity(str(value)).value == value
    rounded = round(value, places)
    assert quantity(f"{float(rounded):,.{places}f}").value == Fraction(f"{float(rounded):.{places}f}")


@given(st.text(alphabet="0123456789.,-+/%$\\{}()^ frac text th am pm e\n", max_size=400))
def test_any_text_is_read_without_an_error(text):
    found = quantity(text)
    assert found is None or quantity(found.key or "0") is not None
    tidy(text)
