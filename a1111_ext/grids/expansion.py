"""Templates to prompts for a grid: drawn by dynprompts, keyed by the picture's seed.

The LoRA's tag comes in as a variable, so that every epoch draws the same text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from dynprompts.errors import PromptError
from kohya_ext.project.errors import InputError

from .plan import Expand


def make_expand(wildcards: Path | None = None) -> Expand:
    """Return a function that draws a prompt from a template with a seed and a LoRA's tag.

    The same template and seed give the same prompt, whichever the tag. Raises InputError for
    a template that cannot be read or a wildcard that is not there.
    """
    from dynprompts.template import Template, parse
    from dynprompts.wildcards import WildcardLibrary

    library = WildcardLibrary(wildcards) if wildcards is not None else WildcardLibrary()

    @lru_cache(maxsize=256)
    def template(text: str, tag: str) -> Template:
        literal = re.sub(r"[{}|#$]|__", r"\\\g<0>", tag)  # its name is no template
        return parse(text, library, variables={"lora": literal}, strict=True)

    def expand(text: str, seed: int, tag: str) -> str:
        if not text:
            return text
        try:
            return template(text, tag).random(seed).text
        except PromptError as error:
            raise InputError(
                "LL513",
                f"The template cannot be expanded: {error}",
                "Check it with `loraloom prompts TEMPLATE --lint`.",
            ) from error

    return expand
