"""Small functions that other programs import."""

from __future__ import annotations


def squash_whitespace(text: str) -> str:
    """Join all white space to single blanks."""
    return " ".join(text.split())
