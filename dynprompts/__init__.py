"""The prompt language: variants, wildcards, variables; drawn at random or enumerated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from .tools.lint import lint_text
    from .unparser import unparse
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
    "lint_text",
    "parse",
    "parse_lines",
    "unparse",
]


_HOMES = {
    "errors": (
        "LimitExceeded", "NothingToDraw", "PromptError", "PromptSyntaxError", "UndefinedVariable",
        "WildcardNotFound",
    ),
    "lexer": ("ParserConfig",),
    "limits": ("Limits",),
    "sample": ("Pick", "Sample"),
    "template": ("Template", "parse", "parse_lines"),
    "tools.lint": ("lint_text",),
    "unparser": ("unparse",),
    "wildcards": ("WildcardLibrary",),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            found = globals()[name] = getattr(import_module(f".{home}", __name__), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
