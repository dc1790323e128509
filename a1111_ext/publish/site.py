"""What the largest publishing site (Civitai) asks for, as read in its own source, August 2026.

Its web form is the only way in: there is no route to upload a model. So these are facts for
checks and for the checklist, and nothing is sent.
"""

from __future__ import annotations

from difflib import get_close_matches

from kohya_ext.project.manifest import BaseModelFamily

AS_OF = "2026-08-08"
MOST_PICTURES = 20
"""Pictures in one post."""

BASE_MODELS = (
    "SD 1.4", "SD 1.5", "SD 2.0", "SD 2.1", "SDXL 1.0", "Pony", "Pony V7", "Illustrious",
    "NoobAI", "SD 3.5", "Flux.1 D", "Flux.1 S", "Flux.1 Krea", "Flux.2", "Chroma", "Anima",
    "Qwen", "ZImageTurbo", "Other",
)  # fmt: skip
"""Names of the form's fixed list; it has more, newer ones."""

_WITH_VARIANTS = ("SD 3.5", "Flux.2")
"""Families of which the list holds several, such as "SD 3.5 Large"."""

_OF_FAMILY: dict[BaseModelFamily, tuple[str, ...]] = {
    BaseModelFamily.SD15: ("SD 1.5", "SD 1.4"),
    BaseModelFamily.SD2: ("SD 2.1", "SD 2.0"),
    BaseModelFamily.SDXL: ("SDXL 1.0", "Pony", "Illustrious", "NoobAI"),
    BaseModelFamily.SD3: ("SD 3.5",),
    BaseModelFamily.FLUX: ("Flux.1 D", "Flux.1 S", "Flux.1 Krea", "Chroma"),
}
_FREE = ("Other",)

WEBUI_VERSIONS: dict[BaseModelFamily, str] = {
    BaseModelFamily.SD15: "SD1",
    BaseModelFamily.SD2: "SD2",
    BaseModelFamily.SDXL: "SDXL",
    BaseModelFamily.FLUX: "Flux",
}
"""The WebUI's own words for "sd version" in a LoRA's user metadata; others are Unknown."""

HUB_MODELS: dict[BaseModelFamily, str] = {
    BaseModelFamily.SD15: "stable-diffusion-v1-5/stable-diffusion-v1-5",
    BaseModelFamily.SD2: "stabilityai/stable-diffusion-2-1",
    BaseModelFamily.SDXL: "stabilityai/stable-diffusion-xl-base-1.0",
    BaseModelFamily.SD3: "stabilityai/stable-diffusion-3.5-large",
    BaseModelFamily.FLUX: "black-forest-labs/FLUX.1-dev",
}
"""What a Hugging Face card names as the base model."""


def default_base_model(family: BaseModelFamily) -> str:
    """Return the list's usual name for a family."""
    return _OF_FAMILY[family][0]


def is_listed(name: str) -> bool:
    """Tell whether the form's list has a name, as far as it is known here."""
    return name in BASE_MODELS or name.startswith(tuple(f"{one} " for one in _WITH_VARIANTS))


def base_model_problem(name: str, family: BaseModelFamily) -> tuple[str, str] | None:
    """Return why a base model's name cannot stand, and what to do; None when it can.

    A name that is like none of the list may be a newer one: that is no problem, but to be looked
    up.
    """
    if not is_listed(name):
        plain = {_squeezed(one): one for one in BASE_MODELS}
        close = plain.get(_squeezed(name)) or next(
            iter(get_close_matches(name, BASE_MODELS, n=1, cutoff=0.7)), None
        )
        if close is None:
            return None
        return f'The site has no base model "{name}"', f'It spells it "{close}".'
    known = _OF_FAMILY[family]
    listed_elsewhere = any(
        name.startswith(one)
        for other, names in _OF_FAMILY.items()
        if other is not family
        for one in names
    )
    if listed_elsewhere and not name.startswith(known):
        return (
            f'The base model "{name}" is not of the family {family.value} that it was trained on',
            f"That is usually {known[0]}.",
        )
    return None


def _squeezed(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
