"""How many options a variant takes: the numbers before its `$$`."""

from __future__ import annotations

import re

UNBOUNDED = 1 << 30
"""The upper bound of `{2-$$...}`, and of a number with more than nine digits."""

_AMOUNT = re.compile(r"([0-9]{1,20})(?:(-)([0-9]{0,20}))?|-([0-9]{1,20})")


def parse_amount(text: str) -> tuple[int, int] | None:
    """range = n | n "-" m | n "-" | "-" m, as a variable gives it; None for anything else"""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return None
    first, dash, last, upto = found.groups()
    low = bounded(first) if first else 1
    if upto:
        high = bounded(upto)
    elif last:
        high = bounded(last)
    else:
        high = UNBOUNDED if dash else low
    return min(low, high), max(low, high)


def bounded(digits: str) -> int:
    """Return a number, UNBOUNDED for one with more than nine digits."""
    return int(digits) if len(digits) < 10 else UNBOUNDED
