"""Generators: a template in, a list of prompts out."""

from __future__ import annotations

from .batched_combinatorial import BatchedCombinatorialPromptGenerator
from .combinatorial import CombinatorialPromptGenerator
from .jinjagenerator import JinjaGenerator
from .promptgenerator import DummyGenerator, GeneratorException, PromptGenerator
from .randomprompt import RandomPromptGenerator
from .unavailable import AttentionGenerator, FeelingLuckyGenerator, MagicPromptGenerator

__all__ = [
    "AttentionGenerator",
    "BatchedCombinatorialPromptGenerator",
    "CombinatorialPromptGenerator",
    "DummyGenerator",
    "FeelingLuckyGenerator",
    "GeneratorException",
    "JinjaGenerator",
    "MagicPromptGenerator",
    "PromptGenerator",
    "RandomPromptGenerator",
]
