"""The public names of dynamicprompts on this engine: what programs that import it need.

`install()` makes `import dynamicprompts` mean this package, for programs that are not to be
changed. Seeds give other prompts than there; docs/from-dynamicprompts.md says what else differs.
"""

from __future__ import annotations

from .enums import SamplingMethod
from .generators import (
    BatchedCombinatorialPromptGenerator,
    CombinatorialPromptGenerator,
    DummyGenerator,
    JinjaGenerator,
    PromptGenerator,
    RandomPromptGenerator,
)
from .generators.promptgenerator import GeneratorException
from .installing import install
from .parser.config import ParserConfig, default_parser_config
from .sampling_context import SamplingContext
from .sampling_result import SamplingResult
from .wildcards import WildcardManager

__all__ = [
    "BatchedCombinatorialPromptGenerator",
    "CombinatorialPromptGenerator",
    "DummyGenerator",
    "GeneratorException",
    "JinjaGenerator",
    "ParserConfig",
    "PromptGenerator",
    "RandomPromptGenerator",
    "SamplingContext",
    "SamplingMethod",
    "SamplingResult",
    "WildcardManager",
    "default_parser_config",
    "install",
]
