"""Templates to prompts for a grid: drawn by dynprompts, keyed by the picture's seed.

The LoRA's tag comes in as a variable, so that every epoch draws the same text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from dynprompts.errors import PromptError
from dynprompts.wildcards import WildcardLibrary
from kohya_ext.project.errors import InputError
from kohya_ext.project.files import require_folder
from kohya_ext.project.placeholders import fill_placeholders

from .axes import SetPrompt, parse_axis
from .plan import Expand, GridRequest, GridSubject, with_placeholder

_SHOWN = 80


def open_library(folder: Path | None, follow_links: bool = False) -> WildcardLibrary:
    """Read the wildcards below a folder. Raises MissingError when it is not there."""
    folders = [] if folder is None else [require_folder(folder)]
    return WildcardLibrary(*folders, follow_links=follow_links)


def find_grid_hints(
    request: GridRequest, subject: GridSubject, library: WildcardLibrary | None = None
) -> tuple[str, ...]:
    """Return what in a grid's prompts is probably not intended, before it is drawn."""
    from dynprompts.tools.lint import find_hints

    return find_hints(_texts(request, subject), library, ("lora",))


def _texts(request: GridRequest, subject: GridSubject) -> Iterator[tuple[str, str]]:
    def filled(text: str) -> str:
        prompt = with_placeholder(text, subject.known_names, subject.trigger_word)
        return prompt.replace("{lora}", "${lora}")

    yield "the prompt", filled(request.prompt)
    negative = fill_placeholders(
        request.negative_prompt, trigger_word=subject.trigger_word, lora=""
    )
    yield "the negative prompt", negative
    for axis in (parse_axis(text, random.Random(0)) for text in request.axes):
        for value in axis.values:
            for edit in value.edits:
                if isinstance(edit, SetPrompt):
                    yield f"axis {axis.name}", filled(edit.text)


def make_expand(library: WildcardLibrary | None = None) -> Expand:
    """Return a function that draws a prompt from a template with a seed and a LoRA's tag.

    The same template and seed give the same prompt, whichever the tag. Raises InputError for
    a template that cannot be read or a wildcard that is not there.
    """
    from dynprompts.template import Template, parse

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
                f'The template "{text[:_SHOWN]}" cannot be expanded: {error}',
                "Check it with `loraloom prompts TEMPLATE --lint`.",
            ) from error

    return expand
