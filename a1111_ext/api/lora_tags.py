"""LoRA tags in prompts: `<lora:NAME:WEIGHT>`, found and replaced as whole tokens."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
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
        LoraTag(found.group(1), found.group(2) or "1", found.group(0)) for found in _tags(prompt)
    )


def _tags(prompt: str) -> Iterator[re.Match[str]]:
    """Find the tags in linear time: an expression alone would look for each ">" to the end."""
    start, end = prompt.find("<lora:"), 0
    while start >= 0:
        end = prompt.find(">", start) if end <= start else end
        if end < 0:
            return
        found = _TAG.match(prompt, start, end + 1)
        if found:
            yield found
        start = prompt.find("<lora:", end if found else start + 1)


def lora_tag(name: str, weight: float = 1.0) -> str:
    """Return the tag of a LoRA: `<lora:Quillfox-000004:0.8>`."""
    return f"<lora:{name}:{weight:g}>"


def without_lora(prompt: str, name: str) -> str:
    """Take the tags of the LoRA called exactly `name` out, as the WebUI does before it draws."""
    return re.sub(rf"\s*<lora:{re.escape(name)}(?::[^>]*)?>\s*", " ", prompt).strip()


def replace_lora(prompt: str, name: str, tag: str) -> str:
    """Replace the tags of the LoRA called exactly `name` by `tag`."""
    parts: list[str] = []
    done = 0
    for found in _tags(prompt):
        parts += (prompt[done : found.start()], tag if found.group(1) == name else found.group(0))
        done = found.end()
    return "".join([*parts, prompt[done:]])


def without_networks(prompt: str) -> str:
    """Take every LoRA and hypernetwork tag out: what is left means something without them."""
    plain = re.sub(r"<(?:lora|lyco|hypernet):[^<>]*>", " ", prompt)
    parts = (" ".join(part.split()) for part in plain.split(","))
    return ", ".join(part for part in parts if part)


_LIKE_A_TAG = re.compile(r"<\s*(?:lora|lyco|hypernet)\b[^<>]*>?", re.IGNORECASE)


def tags_not_read(
    prompt: str, negative_prompt: str, hypernetworks: Collection[str] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield what looks like a tag and has no effect, and why; the picture's text tells nobody.

    A WebUI takes out of a prompt whatever has the form of a tag, and draws without what it does not
    know. `hypernetworks` are those that it has; None where it has no such thing.
    """
    read = {one.text for one in lora_tags(prompt)}
    for found in _LIKE_A_TAG.findall(prompt):
        name = found.removeprefix("<hypernet:").removesuffix(">").partition(":")[0]
        if found in read or (found != name and name in (hypernetworks or ())):
            continue
        if found.startswith("<hypernet:"):
            yield found, "it has no hypernetwork of that name"
        else:
            yield found, "a LoRA is written as <lora:NAME:1>, in small letters"
    for found in _LIKE_A_TAG.findall(negative_prompt):
        yield found, "it is read in the prompt only, not in the negative prompt"
