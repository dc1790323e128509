"""Numbers in text from outside."""

from __future__ import annotations

import pytest

from kohya_ext.project.numbers import whole_number


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("007", 7), ("１२", 12), ("9" * 18, 10**18 - 1)]
)
def test_decimal_digits_are_a_number(text: str, number: int):
    assert whole_number(text) == number


@pytest.mark.parametrize(
    "text", ["", " 1", "-1", "+1", "1_0", "1.0", "²", "①", "x", "9" * 19, "9" * 5000]
)
def test_anything_else_is_none(text: str):
    """`"²".isdigit()` is true, and `int("²")` raises; so does `int` of 5,000 digits."""
    assert whole_number(text) is None
