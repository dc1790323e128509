"""A drawn prompt, and what was picked on the way to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pick:
    """What one variant or wildcard took.

    `variant` is its name (of the variable that holds it, or of the wildcard) or its source text;
    `option` the text that was drawn; `where` the file:line of a wildcard's value.
    """

    variant: str
    option: str
    where: str = ""


@dataclass(frozen=True)
class Sample:
    """One prompt: its text, the seed it depends on (None when enumerated), and its picks."""

    text: str
    seed: int | None = None
    picks: tuple[Pick, ...] = ()

    def pick(self, variant: str) -> str | None:
        """Return what the variant called `variant` took first, or None."""
        return next((one.option for one in self.picks if one.variant == variant), None)
