"""Reading templates."""

from __future__ import annotations

from .config import ParserConfig, default_parser_config
from .parse import parse

__all__ = ["ParserConfig", "default_parser_config", "parse"]
