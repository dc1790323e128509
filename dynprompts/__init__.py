"""The prompt language: variants, wildcards, variables; drawn at random or enumerated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from .template import Template, parse, parse_lines
from .wildcards import WildcardLibrary

if TYPE_CHECKING:
    from .tools.lint import lint_text
    from .unparser import unparse

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
    "lint_text",
    "parse",
    "parse_lines",
    "unparse",
]


def __getattr__(name: str) -> Any:
    """Import what only some need when it is asked for."""
    if name == "unparse":
        from .unparser import unparse

        return unparse
    if name == "lint_text":
        from .tools.lint import lint_text

        return lint_text
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
