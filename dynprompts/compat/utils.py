"""Small functions that other programs import."""

from __future__ import annotations


def squash_whitespace(text: str) -> str:
    """Join all white space to single spaces."""
    return " ".join(text.split())
