"""What all generators are, and the one that changes nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class GeneratorException(Exception):
    """A generator cannot draw."""


class PromptGenerator(ABC):
    """Makes prompts of a template."""

    @abstractmethod
    def generate(self, *args: Any, **kwargs: Any) -> list[str]:
        """Return prompts."""


class DummyGenerator(PromptGenerator):
    """Returns the template itself."""

    def generate(self, template: str, num_images: int = 1, **kwargs: Any) -> list[str]:
        """Return the template `num_images` times."""
        return [template] * num_images
