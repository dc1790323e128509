"""How something is drawn."""

from __future__ import annotations

from enum import Enum


class SamplingMethod(Enum):
    """The three ways to draw."""

    RANDOM = "random"
    COMBINATORIAL = "combinatorial"
    CYCLICAL = "cycle"

    def is_nonfinite(self) -> bool:
        """Whether it continues for ever."""
        return self is not SamplingMethod.COMBINATORIAL
