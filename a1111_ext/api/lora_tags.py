"""LoRA tags in prompts: `<lora:NAME:WEIGHT>`, found and replaced as whole tokens.

A1111 takes `<lyco:...>` for the same. Further arguments may follow, such as `te=0.5`, or
`lbw=MIDD` of an extension.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_OPENING = re.compile(r"<(?:lora|lyco):")
_UNHASHED = str.maketrans("", "", ":,")


@dataclass(frozen=True)
class LoraTag:
    """One tag; `weight` is all that follows the name, as written, "1" when nothing does."""

    name: str
    weight: str
    text: str

    @property
    def hashed_as(self) -> str:
        """The name as it stands among the `Lora hashes` of an infotext."""
        return hashed_as(self.name)

    @property
    def multiplier(self) -> float | None:
        """How strongly it counts; None where the WebUI could not draw with that."""
        return multiplier_of(self.weight)


def hashed_as(name: str) -> str:
    """Return a LoRA's name as the WebUI writes it among the hashes of an infotext."""
    return name.translate(_UNHASHED)


def multiplier_of(weight: str) -> float | None:
    """Return the weight on the text encoder in `0.8`, `0.8:0.6` or `te=0.8:unet=0.6:lbw=MIDD`.

    None where the WebUI would fail to read one of its own arguments, and draw without the LoRA, or
    for nan and inf, with which no picture comes.
    """
    placed, named = _arguments(weight.split(":"))
    try:
        te = float(named.get("te", placed[0] if placed else "1"))
        for number in (str(te), *placed[:2], named.get("unet", "1")):
            if not math.isfinite(float(number)):
                return None
        int(named.get("dyn", placed[2] if len(placed) > 2 else "1"))
    except ValueError:
        return None
    return te


def changes_nothing(weight: str) -> bool:
    """Whether a weight is 0 on text encoder and network, which has the same where it has no own."""
    placed, named = _arguments(weight.split(":"))
    te = multiplier_of(weight)
    return te == 0 and float(named.get("unet", placed[1] if len(placed) > 1 else te)) == 0


def _arguments(items: list[str]) -> tuple[list[str], dict[str, str]]:
    """Part arguments as the WebUI does: one with a single "=" has a name, others have a place."""
    named = dict(one.split("=") for one in items if one.count("=") == 1)
    return [one for one in items if one.count("=") != 1], named


def lora_tags(prompt: str) -> tuple[LoraTag, ...]:
    """Return the LoRA tags of a prompt, in order."""
    return tuple(tag for tag, _, _ in _places(prompt))


def _places(prompt: str) -> Iterator[tuple[LoraTag, int, int]]:
    """Find tags with start and end in linear time: an expression alone would look for each ">"."""
    start, end = 0, -1
    while found := _OPENING.search(prompt, start):
        end = prompt.find(">", found.end())
        if end < 0:
            return
        items = prompt[found.end() : end].split(":")
        placed, _ = _arguments(items)
        start = end + 1
        if placed and placed[0]:
            items.remove(placed[0])
            weight = ":".join(items) if items else "1"
            yield LoraTag(placed[0], weight, prompt[found.start() : start]), found.start(), start


def lora_tag(name: str, weight: float = 1.0) -> str:
    """Return the tag of a LoRA: `<lora:Quillfox-000004:0.8>`."""
    return f"<lora:{name}:{weight:g}>"


def strip_loras(prompt: str, name: str = "") -> str:
    """Take all tags out, or those of the LoRA called exactly `name`, with the spaces around."""
    parts: list[str] = []
    done = 0
    for tag, start, end in _places(prompt):
        if name in ("", tag.name):
            parts.append(prompt[done:start])
            done = end
    return " ".join(part.strip() for part in (*parts, prompt[done:])).strip()


def replace_lora(prompt: str, name: str, tag: str) -> str:
    """Replace the tags of the LoRA called exactly `name` by `tag`."""
    parts: list[str] = []
    done = 0
    for found, start, end in _places(prompt):
        parts += (prompt[done:start], tag if found.name == name else found.text)
        done = end
    return "".join([*parts, prompt[done:]])


def without_networks(prompt: str) -> str:
    """Take every LoRA and hypernetwork tag out: what is left means something without them."""
    plain = re.sub(r"<(?:lora|lyco|hypernet):[^<>]*>", " ", prompt)
    parts = (" ".join(part.split()) for part in plain.split(","))
    return ", ".join(part for part in parts if part)


_LIKE_A_TAG = re.compile(r"<\s*(?:lora|lyco|hypernet)\b[^<>]*>?", re.IGNORECASE)


def tags_not_read(
    prompt: str,
    negative_prompt: str,
    hypernetworks: Collection[str] | None = None,
    *,
    is_forge: bool = False,
) -> Iterator[tuple[str, str]]:
    """Yield what looks like a tag and has no effect, and why; the picture's text tells nobody.

    A WebUI takes out of a prompt whatever has the form of a tag, and draws without what it does not
    know. `hypernetworks` are those that it has; None where it draws without any. Forge does not
    know `<lyco:`.
    """
    texts = (one.text for one in lora_tags(prompt))
    read = {one for one in texts if not (is_forge and one.startswith("<lyco:"))}
    for found in _LIKE_A_TAG.findall(prompt):
        name = found.removeprefix("<hypernet:").removesuffix(">").partition(":")[0]
        if found in read or (found != name and name in (hypernetworks or ())):
            continue
        if found.startswith("<hypernet:"):
            of_none = "it draws without hypernetworks" if hypernetworks is None else ""
            yield found, of_none or "it has no hypernetwork of that name"
        else:
            yield found, "a LoRA is written as <lora:NAME:1>, in small letters"
    for found in _LIKE_A_TAG.findall(negative_prompt):
        yield found, "it is read in the prompt only, not in the negative prompt"
