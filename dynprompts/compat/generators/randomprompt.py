"""Prompts at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from ..constants import DEFAULT_RANDOM
from ..enums import SamplingMethod
from ..parser.config import ParserConfig, default_parser_config
from ..sampling_context import SamplingContext
from ..wildcards.wildcard_manager import WildcardManager
from .promptgenerator import PromptGenerator


class RandomPromptGenerator(PromptGenerator):
    """Draws prompts; one seed per prompt gives each as it would be alone."""

    def __init__(
        self,
        wildcard_manager: WildcardManager | None = None,
        seed: int | None = None,
        unlink_seed_from_prompt: bool = False,
        ignore_whitespace: bool = False,
        parser_config: ParserConfig = default_parser_config,
    ) -> None:
        self._unlinked = unlink_seed_from_prompt
        rand = DEFAULT_RANDOM if unlink_seed_from_prompt else Random(seed)
        self._context = SamplingContext(
            wildcard_manager=wildcard_manager or WildcardManager(),
            default_sampling_method=SamplingMethod.RANDOM,
            ignore_whitespace=ignore_whitespace,
            parser_config=parser_config,
            rand=rand,
        )

    def generate(
        self,
        template: str | None = None,
        num_images: int = 1,
        *,
        seeds: Sequence[int] | int | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Draw prompts; `seeds` is one per prompt, or one for all."""
        if seeds is None or (not isinstance(seeds, int) and not seeds):
            return [str(one) for one in self._context.sample_prompts(template or "", num_images)]
        several = [seeds] if isinstance(seeds, int) else list(seeds)
        if len(several) == 1:
            several *= num_images
        if len(several) != num_images:
            raise ValueError(f"Expected {num_images} seeds, but got {len(several)}")
        if self._unlinked:
            several = [DEFAULT_RANDOM.getrandbits(64) for _ in several]
        return [text for seed in several for text in self._one(template or "", seed)]

    def _one(self, template: str, seed: int) -> list[str]:
        if not template:
            return [""]
        seeded = replace(self._context, rand=_Given(seed))
        return [str(one) for one in seeded.sample_prompts(template, 1)]


class _Given(Random):
    """Gives the seed itself, so that a prompt is the engine's own for that seed."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._given = seed

    def getrandbits(self, k: int, /) -> int:
        return self._given
