"""Templates to prompts for a grid: drawn by dynprompts, keyed by the picture's seed."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from dynprompts.errors import PromptError
from kohya_ext.project.errors import InputError

from .plan import Expand


def make_expand(wildcards: Path | None = None) -> Expand:
    """Return a function that draws a prompt from a template with a seed.

    The same template and seed give the same prompt. Raises InputError for a template that
    cannot be read or a wildcard that is not there.
    """
    from dynprompts.template import Template, parse
    from dynprompts.wildcards import WildcardLibrary

    library = WildcardLibrary(wildcards) if wildcards is not None else WildcardLibrary()

    @lru_cache(maxsize=256)
    def template(text: str) -> Template:
        return parse(text, library, strict=True)

    def expand(text: str, seed: int) -> str:
        if not text:
            return text
        try:
            return template(text).random(seed).text
        except PromptError as error:
            raise InputError(
                "LL513",
                f"The template cannot be expanded: {error}",
                "Check it with `loraloom prompts TEMPLATE --lint`.",
            ) from error

    return expand
