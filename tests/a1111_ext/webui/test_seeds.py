"""Seeds as they are typed into the script's box."""

from __future__ import annotations

import random

import pytest

from a1111_ext.cells.cell import LARGEST_SEED
from a1111_ext.webui.grid import MOST, read_seeds
from kohya_ext.project import ToolError


def test_seeds_and_ranges_are_read():
    assert read_seeds("5, 7, 10-12", random.Random(1)) == (5, 7, 10, 11, 12)


def test_minus_one_is_drawn_once():
    first, kept, second = read_seeds("-1, 5, -1", random.Random(1))
    assert kept == 5
    assert first != second
    assert min(first, second) >= 0


@pytest.mark.parametrize("text", ["-2", str(LARGEST_SEED + 1), f"1-{MOST + 1}", "1," * 5000])
def test_seeds_out_of_range_are_refused(text: str):
    with pytest.raises(ToolError) as caught:
        read_seeds(text, random.Random(1))
    assert caught.value.code == "LL759"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["", " ", "five"])
def test_a_word_is_no_seed(text: str):
    with pytest.raises(ToolError, match="LL506"):
        read_seeds(text, random.Random(1))
