"""Generators that need a language model or a web service: their names, and why they do nothing."""

from __future__ import annotations

from typing import Any

from .promptgenerator import GeneratorException, PromptGenerator


class _Unavailable(PromptGenerator):
    """Can be named, and says on use that it is not offered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def generate(self, *args: Any, **kwargs: Any) -> list[str]:
        """Raise GeneratorException."""
        raise GeneratorException(
            f"{type(self).__name__} is not offered here. Use dynamicprompts for it, or draw with "
            "RandomPromptGenerator."
        )


class AttentionGenerator(_Unavailable):
    """Emphasis at random."""


class MagicPromptGenerator(_Unavailable):
    """Words of a language model."""


class FeelingLuckyGenerator(_Unavailable):
    """Prompts of a web service."""
