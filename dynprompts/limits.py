"""What a template may ask for at most: named, documented, adjustable."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds that no template passes, however hostile; LimitExceeded tells which one it met.

    nesting      brackets within brackets in one text (DP130)
    recursion    wildcards and variables within each other (DP131)
    parts        pieces of one drawn prompt, before they are joined (DP132)
    characters   characters of one drawn prompt (DP132)
    spaces       pieces of templates and wildcards that one template leads to (DP134)
    bits         binary digits of a count of combinations (DP133)
    branches     values of immediate variables that wildcard paths depend on (DP133)
    distinct     results of one variant up to which repeated ones are dropped
    """

    nesting: int = 100
    recursion: int = 60
    parts: int = 20_000
    characters: int = 1_000_000
    spaces: int = 200_000
    bits: int = 100_000
    branches: int = 10_000
    distinct: int = 1_000


LIMITS = Limits()
"""The bounds where none are given."""
