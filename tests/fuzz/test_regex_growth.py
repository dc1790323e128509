"""No regular expression of the product takes four times as long for twice the text."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from regexes import hostile_units, product_parts, product_patterns

LETTERS = 4_000
QUICK_SECONDS = 0.0003
"""A quick machine takes 0.0007 for the quickest of the quadratic patterns below."""
MOST_GROWTH = 3.0
LONG_SECONDS = 0.005
"""What takes longer is hardly disturbed by other programs."""
SURE_GROWTH = 2.5
"""Below it the time is not measured again: of a quadratic pattern it is 4."""
END = "\x00"
MOST_UNITS = 50


times = pytest.mark.skipif(
    os.name == "nt",
    reason="processor time is counted in steps of 16 ms there; patterns are the same",
)


def seconds(pattern: re.Pattern[Any], text: str, is_anchored: bool) -> float:
    """Return what it takes to try a pattern at one place, or everywhere."""
    subject: Any = text.encode("utf-8") if isinstance(pattern.pattern, bytes) else text
    started = time.process_time()
    if is_anchored:
        pattern.match(subject)
        pattern.fullmatch(subject)
    else:
        for _ in pattern.finditer(subject):
            pass
    return time.process_time() - started


def grows(pattern: re.Pattern[Any], begin: str, unit: str, is_anchored: bool) -> bool:
    """Tell whether a pattern takes far more than twice as long for twice the text."""
    for letters in (LETTERS // 50, LETTERS):
        text = begin + unit * (letters // len(unit)) + END
        first = seconds(pattern, text, is_anchored)
        if first < QUICK_SECONDS:
            continue
        doubled = begin + unit * (2 * letters // len(unit)) + END
        first = min(first, seconds(pattern, text, is_anchored))
        if seconds(pattern, doubled, is_anchored) < SURE_GROWTH * first:
            continue
        tries = 3 if first < LONG_SECONDS else 1
        rounds = {True: 0, False: 0}
        while max(rounds.values()) < 2:  # on a busy machine one may be wrong, either way
            once, twice = (
                min(seconds(pattern, one, is_anchored) for _ in range(tries))
                for one in (text, doubled)
            )
            rounds[twice > MOST_GROWTH * once] += 1
        if rounds[True] == 2:
            return True
    return False


def slow_text(pattern: re.Pattern[Any], is_anchored: bool) -> str:
    """Return the first text for which a pattern grows too fast; empty where there is none."""
    for begin, unit in hostile_units(pattern)[:MOST_UNITS]:
        if grows(pattern, begin, unit, is_anchored):
            return f"{begin!r} + {unit!r} * n + {END!r}"
    return ""


NEVER_SEARCHED = "dynprompts/lexer.py"
"""Its patterns are kept as one table, and those with spaces in front are tried at one place."""


PARTS = product_parts()


def found_patterns(modules: Iterable[Path]) -> dict[str, tuple[re.Pattern[Any], bool]]:
    found = product_patterns(modules)
    for place, (pattern, _) in found.items():
        if place.startswith(NEVER_SEARCHED) and pattern.pattern.startswith("\\s*"):
            found[place] = (pattern, True)
    return found


def test_the_patterns_of_the_product_are_found():
    places = found_patterns(itertools.chain(*PARTS.values()))
    assert len(places) > 200
    assert any(place.startswith("dynprompts/slips.py") for place in places)
    assert any(place.startswith("a1111_ext/publish/") for place in places)


@times
@pytest.mark.parametrize("part", PARTS)
def test_twice_the_text_takes_twice_as_long(part: str):
    for place, (pattern, is_anchored) in found_patterns(PARTS[part]).items():
        slow = slow_text(pattern, is_anchored)
        assert not slow, f"{pattern.pattern!r} of {place} grows too fast for {slow}"


@times
@pytest.mark.parametrize(
    "pattern",
    [r"<lora:[^>]*>", r"\s*<lora:[^<>]*>", r"\{#.*?#\}", r"/\*.*?\*/", r"\d+x"],
)
def test_a_quadratic_pattern_is_noticed(pattern: str):
    assert slow_text(re.compile(pattern, re.DOTALL), is_anchored=False)


@pytest.mark.parametrize("pattern", [r"<lora:[^<>]*>", r"(?<!\s)\s*<lora:[^<>]*>", r"(?<!\d)\d+x"])
def test_a_linear_pattern_passes(pattern: str):
    assert not slow_text(re.compile(pattern), is_anchored=False)
