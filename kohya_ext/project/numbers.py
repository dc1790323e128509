"""Numbers in text from outside: options, folder names, headers, infotexts."""

from __future__ import annotations

_MOST_DIGITS = 18


def whole_number(text: str) -> int | None:
    """Return a text of decimal digits alone as a number, else None.

    `str.isdigit` also says yes to "²", which is not a number, and `int` refuses 5,000 digits.
    """
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None


def repeats_in_name(folder: str) -> int:
    """Return the repeats in a training folder's name such as `5_Trigger`; 0 where it has none."""
    return whole_number(folder.partition("_")[0]) or 0
