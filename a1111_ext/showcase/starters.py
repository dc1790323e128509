"""Starter sets: templates of our own with framing, expression, clothing and light as variants.

They serve where the manifest has no template yet, and as styles for use by hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kohya_ext.project import InputError
from kohya_ext.project.manifest import Manifest, SubjectKind
from kohya_ext.project.yaml_reader import packaged_yaml

from .styles import PLACE, Style
from .templates import TemplateText

_NAMES = ("person", "creature", "style")
_SUBJECT = re.compile(r"\{lora\}[^,|{}]*\{trigger\}")


@dataclass(frozen=True)
class Starter:
    """One set: its template, and the negative prompt that keeps its pictures decent."""

    name: str
    title: str
    kinds: tuple[SubjectKind, ...]
    template: str
    negative_prompt: str

    @property
    def text(self) -> TemplateText:
        """The set as the showcase draws it."""
        return TemplateText(f"the starter set {self.name}", self.template, self.negative_prompt)

    def style(self, name: str = "") -> Style:
        """Return the set as a style of the WebUI: `{prompt}` takes LoRA tag and trigger word."""
        one_line = " ".join(self.template.split("\n"))
        prompt = _SUBJECT.sub(PLACE, one_line, count=1)
        return Style(name or f"showcase {self.name}", prompt, self.negative_prompt)


@lru_cache(maxsize=1)
def read_starters() -> tuple[Starter, ...]:
    """Return the three sets."""
    found = []
    for name in _NAMES:
        data = packaged_yaml(__package__, f"starters/{name}.yaml")
        kinds = tuple(map(SubjectKind, data["kinds"]))
        found.append(
            Starter(name, data["title"], kinds, data["template"], data["negative_prompt"].strip())
        )
    return tuple(found)


def require_starter(name: str) -> Starter:
    """Return the set called `name`. Raises InputError."""
    found = next((one for one in read_starters() if one.name == name.strip().casefold()), None)
    if found is None:
        raise InputError(
            "LL674",
            f'There is no starter set "{name}".',
            f"Choose one of {', '.join(_NAMES)}: loraloom templates",
        )
    return found


def starter_for(kind: SubjectKind) -> Starter:
    """Return the set that fits a kind of subject."""
    return next(one for one in read_starters() if kind in one.kinds)


def template_of(manifest: Manifest) -> TemplateText:
    """Return the manifest's template, else the starter set of the subject's kind."""
    wanted = manifest.showcase
    if wanted.template.strip() or wanted.style:
        return TemplateText("showcase.template", wanted.template, negative_of(manifest))
    text = starter_for(manifest.subject.kind).text
    return TemplateText(text.name, text.prompt, negative_of(manifest))


def negative_of(manifest: Manifest) -> str:
    """Return the manifest's negative prompt, else one that keeps pictures decent.

    Models that take none get none.
    """
    said = manifest.showcase.negative_prompt
    if said or not manifest.base_model.family.facts.drawing.has_negative:
        return said
    return starter_for(manifest.subject.kind).negative_prompt
