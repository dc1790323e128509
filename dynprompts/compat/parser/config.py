"""The brackets of the language."""

from __future__ import annotations

from ...lexer import ParserConfig

__all__ = ["ParserConfig", "default_parser_config"]

default_parser_config = ParserConfig()
