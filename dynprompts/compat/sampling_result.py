"""A drawn prompt."""

from __future__ import annotations

from dataclasses import dataclass

from ..sample import Pick
from .utils import squash_whitespace


@dataclass(frozen=True)
class SamplingResult:
    """One prompt as text; `picks` tells what was drawn."""

    text: str
    picks: tuple[Pick, ...] = ()

    def __str__(self) -> str:
        return self.text

    def whitespace_squashed(self) -> SamplingResult:
        """Return it with all white space joined to single spaces."""
        return SamplingResult(squash_whitespace(self.text), self.picks)
