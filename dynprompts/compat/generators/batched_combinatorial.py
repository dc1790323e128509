"""The same combinations several times."""

from __future__ import annotations

from typing import Any

from ..constants import MAX_IMAGES
from .promptgenerator import PromptGenerator


class BatchedCombinatorialPromptGenerator(PromptGenerator):
    """Asks another generator several times."""

    def __init__(self, generator: PromptGenerator, batches: int = 1) -> None:
        self._generator, self._batches = generator, batches

    def generate(self, template: str, max_prompts: int = MAX_IMAGES, **kwargs: Any) -> list[str]:
        """Return the other generator's prompts, once per batch."""
        return [
            prompt
            for _ in range(self._batches)
            for prompt in self._generator.generate(template, max_prompts, **kwargs)
        ]
