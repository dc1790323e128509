"""From text to commands. Errors are pyparsing's ParseException where pyparsing is installed."""

from __future__ import annotations

from ...errors import PromptSyntaxError
from ...parser import parse_sequence
from ..commands import Command, command_of
from .config import ParserConfig, default_parser_config

__all__ = ["ParserConfig", "default_parser_config", "parse", "parse_exception"]


def parse(prompt: str, parser_config: ParserConfig = default_parser_config) -> Command:
    """Parse a template to a command."""
    try:
        return command_of(parse_sequence(prompt, parser_config))
    except PromptSyntaxError as error:
        raise parse_exception(error) from error


def parse_exception(error: PromptSyntaxError) -> Exception:
    """Return the error that programs of dynamicprompts catch."""
    try:
        from pyparsing import ParseException
    except ImportError:
        return error
    found: Exception = ParseException(error.source, error.span.start, str(error))
    return found
