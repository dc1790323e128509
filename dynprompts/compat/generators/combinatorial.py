"""All combinations."""

from __future__ import annotations

from typing import Any

from ..constants import MAX_IMAGES
from ..enums import SamplingMethod
from ..parser.config import ParserConfig, default_parser_config
from ..sampling_context import SamplingContext
from ..wildcards.wildcard_manager import WildcardManager
from .promptgenerator import PromptGenerator


class CombinatorialPromptGenerator(PromptGenerator):
    """Lists combinations, the last part changing fastest."""

    def __init__(
        self,
        wildcard_manager: WildcardManager | None = None,
        ignore_whitespace: bool = False,
        parser_config: ParserConfig = default_parser_config,
    ) -> None:
        self._context = SamplingContext(
            wildcard_manager=wildcard_manager or WildcardManager(),
            default_sampling_method=SamplingMethod.COMBINATORIAL,
            ignore_whitespace=ignore_whitespace,
            parser_config=parser_config,
        )

    def generate(
        self, template: str | None, max_prompts: int | None = MAX_IMAGES, **kwargs: Any
    ) -> list[str]:
        """Return the first `max_prompts` combinations, or all."""
        return [str(one) for one in self._context.sample_prompts(template or "", max_prompts)]
