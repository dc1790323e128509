"""Showcase templates: style, LoRA tag and trigger word put in, prompts drawn by keyed seeds.

A picture's prompt follows from its text seed alone; unlinked, that seed is another one for every
checkpoint, so that each draws another prompt for the same picture seed, always the same again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from dynprompts import PromptError, Sample, Template, WildcardLibrary, parse
from kohya_ext.project import InputError, ToolError
from kohya_ext.project.placeholders import fill_placeholders

from ..api.lora_tags import lora_tag
from .reach import TemplateReach, find_reach
from .styles import Style

ONLY_SUBJECT = "{lora} {trigger}"
"""What a style is put round when no template is given."""

_SEED_BYTES = 4


@dataclass(frozen=True)
class ShowcaseSubject:
    """What the showcase shows: the LoRA as prompts name it, its weight, the trigger word."""

    lora: str
    weight: float
    trigger_word: str

    @property
    def tag(self) -> str:
        """The LoRA's tag."""
        return lora_tag(self.lora, self.weight)

    def fill(self, text: str) -> str:
        """Put tag and trigger word in for `{lora}` and `{trigger}`."""
        return fill_placeholders(text, trigger_word=self.trigger_word, lora=self.tag)

    @property
    def variables(self) -> dict[str, str]:
        """The same for wildcard files, which write `${lora}` and `${trigger}`."""
        return {"lora": self.tag, "trigger": self.trigger_word}


@dataclass(frozen=True)
class TemplateText:
    """A template as its user wrote it; `name` says where it came from."""

    name: str
    prompt: str
    negative_prompt: str = ""

    def styled(self, style: Style | None) -> TemplateText:
        """Return the template with a style round it."""
        if style is None:
            return self
        prompt, negative = style.apply(self.prompt or ONLY_SUBJECT, self.negative_prompt)
        return TemplateText(f"{self.name} in style {style.name}", prompt, negative)


class ShowcaseTemplate:
    """A template ready to be drawn. Raises InputError when it cannot be read."""

    def __init__(
        self, text: TemplateText, subject: ShowcaseSubject, library: WildcardLibrary | None = None
    ) -> None:
        self.name = text.name
        self.source = subject.fill(text.prompt)
        self.negative_source = fill_placeholders(  # a tag there is a text like any other
            text.negative_prompt, trigger_word=subject.trigger_word, lora=""
        )
        self._library = library or WildcardLibrary()
        self._variables = subject.variables
        self._prompt = self._parse(self.source, "prompt")
        self._negative = self._parse(self.negative_source, "negative prompt")

    def _parse(self, text: str, part: str) -> Template:
        try:
            return parse(
                text,
                self._library,
                variables=self._variables,
                ignore_whitespace=True,
                strict=True,
            )
        except PromptError as error:
            raise self._unreadable(part, error) from error

    def draw(self, text_seed: int) -> tuple[Sample, str]:
        """Draw prompt and negative prompt. Raises InputError."""
        try:
            sample = self._prompt.random(text_seed)
        except PromptError as error:
            raise self._unreadable("prompt", error) from error
        try:
            return sample, self._negative.random(text_seed).text
        except PromptError as error:
            raise self._unreadable("negative prompt", error) from error

    def draw_balanced(self, count: int, text_seed: int) -> list[Sample]:
        """Draw prompts whose options come evenly. Raises InputError."""
        try:
            return self._prompt.balanced(count, *self._prompt.choices, seed=text_seed)
        except PromptError as error:
            raise self._unreadable("prompt", error) from error

    def _unreadable(self, part: str, error: PromptError) -> ToolError:
        return InputError(
            "LL613",
            f"The template ({self.name}, {part}) cannot be expanded: {error}",
            "Correct it; docs/dynprompts.md explains the language.",
        )

    @property
    def hints(self) -> tuple[str, ...]:
        """What in it resembles the language and would go into the pictures as text."""
        from dynprompts.tools.lint import find_hints

        negative = f"{self.name}, negative prompt"
        texts = ((self.name, self.source), (negative, self.negative_source))
        return find_hints(texts, self._library, self._variables)

    @cached_property
    def reach(self) -> TemplateReach:
        """Every LoRA and wildcard that a draw could bring. Raises InputError."""
        try:
            return find_reach((self._prompt, self._negative), self.name)
        except PromptError as error:
            raise self._unreadable("prompt and negative prompt", error) from error


def text_seed(seed: int, checkpoint: str, *, unlinked: bool) -> int:
    """Return the seed of the text for a picture's seed; `checkpoint` as it was asked for.

    Unlinked, it follows from picture seed and checkpoint alone: one more checkpoint, another
    weight, or a changed option leaves the other draws as they were.
    """
    if not unlinked:
        return seed
    key = json.dumps([seed, plain_checkpoint(checkpoint)], ensure_ascii=False)
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:_SEED_BYTES], "big")


def plain_checkpoint(word: str) -> str:
    """Return a checkpoint's name without folder, suffix and hash."""
    name = word.partition(" [")[0].replace("\\", "/").rpartition("/")[2]
    for suffix in (".safetensors", ".ckpt"):
        name = name.removesuffix(suffix)
    return name
