"""LoRA tags in prompts: `<lora:NAME:WEIGHT>`, found and replaced as whole tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAG = re.compile(r"<lora:([^:>]+)(?::([^>]*))?>")


@dataclass(frozen=True)
class LoraTag:
    """One tag; `weight` as written, "1" when the tag has none."""

    name: str
    weight: str
    text: str


def lora_tags(prompt: str) -> tuple[LoraTag, ...]:
    """Return the LoRA tags of a prompt, in order."""
    return tuple(
        LoraTag(found.group(1), found.group(2) or "1", found.group(0))
        for found in _TAG.finditer(prompt)
    )


def lora_tag(name: str, weight: float = 1.0) -> str:
    """Return the tag of a LoRA: `<lora:Quillfox-000004:0.8>`."""
    return f"<lora:{name}:{weight:g}>"


def without_lora(prompt: str, name: str) -> str:
    """Take the tags of the LoRA called exactly `name` out, as the WebUI does before it draws."""
    return re.sub(rf"\s*<lora:{re.escape(name)}(?::[^>]*)?>\s*", " ", prompt).strip()


def replace_lora(prompt: str, name: str, tag: str) -> str:
    """Replace the tags of the LoRA called exactly `name` by `tag`."""
    return _TAG.sub(lambda found: tag if found.group(1) == name else found.group(0), prompt)
