"""How numbers are written in sentences."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return "1 picture" or "1,200 steps"; `plural` where that is not the noun and an "s"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
