"""What showcase templates can reach: every LoRA tag and wildcard, found without drawing.

dynprompts does the finding; here prompt and negative prompt become one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynprompts import Template

_TEMPLATE = "template:"


@dataclass(frozen=True)
class ReachedName:
    """Something that a template names, and where it stands."""

    name: str
    where: str


@dataclass(frozen=True)
class TemplateReach:
    """Everything reachable; `missing` are wildcards without values."""

    loras: tuple[ReachedName, ...]
    wildcards: tuple[ReachedName, ...]
    missing: tuple[ReachedName, ...]


def find_reach(templates: Sequence[Template], name: str = "the template") -> TemplateReach:
    """Join what templates can reach, each name once; `name` says where they came from."""
    loras: dict[str, ReachedName] = {}
    wildcards: dict[str, ReachedName] = {}
    missing: dict[str, ReachedName] = {}
    for found in (template.reach() for template in templates):
        tags = (tag for tag in found.tags if tag.kind in ("lora", "lyco"))
        for names, rows in (
            (loras, tags),
            (wildcards, found.wildcards),
            (missing, found.missing),
        ):
            for row in rows:
                names.setdefault(row.name, ReachedName(row.name, _place(row.where, name)))
    return TemplateReach(*(tuple(names.values()) for names in (loras, wildcards, missing)))


def _place(where: str, name: str) -> str:
    """Call the template by the name that its user knows."""
    return f"{name}, {where.removeprefix(_TEMPLATE)}" if where.startswith(_TEMPLATE) else where
