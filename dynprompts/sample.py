"""A drawn prompt, and what was picked on the way to it."""

from __future__ import annotations

from typing import NamedTuple


class Pick(NamedTuple):
    """What one variant or wildcard took.

    `variant` is its name (of the variable that holds it, or of the wildcard) or its source text;
    `option` the text that was drawn; `where` the file:line of a wildcard's value; `number` which
    option or value that is, from 0.
    """

    variant: str
    option: str
    where: str = ""
    number: int = 0


class Sample(NamedTuple):
    """One prompt: its text, the seed it was drawn with or its number among all combinations."""

    text: str
    seed: int | None = None
    picks: tuple[Pick, ...] = ()
    number: int | None = None

    def pick(self, variant: str) -> str | None:
        """Return what the variant called `variant` took first, or None."""
        return next((one.option for one in self.picks if one.variant == variant), None)
