"""The prompt language: variants, wildcards, variables; drawn at random or enumerated."""

from __future__ import annotations

from .errors import (
    LimitExceeded,
    NothingToDraw,
    PromptError,
    PromptSyntaxError,
    UndefinedVariable,
    WildcardNotFound,
)
from .lexer import ParserConfig
from .limits import Limits
from .sample import Pick, Sample
from .template import Template, parse
from .unparse import unparse
from .wildcards import WildcardLibrary

__all__ = [
    "LimitExceeded",
    "Limits",
    "NothingToDraw",
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
    "unparse",
]
