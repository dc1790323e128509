"""The prompt language: variants, wildcards, variables; drawn at random or enumerated."""

from __future__ import annotations

from .errors import (
    LimitExceeded,
    PromptError,
    PromptSyntaxError,
    UndefinedVariable,
    WildcardNotFound,
)
from .lexer import ParserConfig
from .sample import Pick, Sample
from .template import Template, parse
from .wildcards import WildcardLibrary

__all__ = [
    "LimitExceeded",
    "ParserConfig",
    "Pick",
    "PromptError",
    "PromptSyntaxError",
    "Sample",
    "Template",
    "UndefinedVariable",
    "WildcardLibrary",
    "WildcardNotFound",
    "parse",
]
