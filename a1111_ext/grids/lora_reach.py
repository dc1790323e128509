"""Every LoRA that a grid's texts can reach: tags inside options and wildcards included.

Found without drawing, so that a helper LoRA of the rarest option is checked too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..api.capabilities import Capabilities
from ..api.lora_tags import lora_tags
from .plan import GridRequest, GridSubject

if TYPE_CHECKING:
    from dynprompts import WildcardLibrary


@dataclass(frozen=True)
class ReachedLora:
    """A LoRA that may be drawn: its name, its weight as written, and where it stands."""

    name: str
    weight: str
    where: str


def reachable_loras(
    texts: Iterable[str], library: WildcardLibrary | None = None
) -> tuple[ReachedLora, ...]:
    """Return the LoRAs that templates can name, each name and weight once."""
    found: dict[tuple[str, str], ReachedLora] = {}
    for text in texts:
        for one in _loras_of(text, library):
            found.setdefault((one.name, one.weight), one)
    return tuple(found.values())


def require_reachable(
    request: GridRequest,
    subject: GridSubject,
    has: Capabilities,
    library: WildcardLibrary | None = None,
) -> None:
    """Check the LoRAs of options that a grid happens not to draw, too.

    Raises InputError for one that the WebUI lacks, or a weight that it does not read.
    """
    texts = [request.prompt, request.negative_prompt, *request.axes]
    for one in reachable_loras(texts, library):
        if one.name in subject.known_names:
            has.require_weight(one.name, one.weight)
        else:
            has.require_lora(one.name, one.weight)


def _loras_of(text: str, library: WildcardLibrary | None) -> Iterator[ReachedLora]:
    from dynprompts import PromptError, parse

    try:
        tags = parse(text, library).reach().tags
    except PromptError:  # no template, such as a prompt with a brace of its own
        yield from (ReachedLora(tag.name, tag.weight, "the prompt") for tag in lora_tags(text))
        return
    for tag in tags:
        if tag.kind in ("lora", "lyco"):
            where = "the prompt" if tag.where.startswith("template:") else tag.where
            yield ReachedLora(tag.name, tag.weight, where)
