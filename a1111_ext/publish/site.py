"""What the largest publishing site (Civitai) asks for, as read in its own source, August 2026.

Its web form is the only way in: there is no route to upload a model. So these are facts for
checks and for the checklist, and nothing is sent.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from kohya_ext.project.families import Family
from kohya_ext.project.manifest import Permissions

AS_OF = "2026-08-08"
"""The day at which the site's list was read."""

MOST_PICTURES = 20
"""Pictures in one post."""

_FREE = "Other"
"""The list's name for what it does not list."""

_OF_FAMILY = {one: one.facts.civitai for one in Family}

BASE_MODELS = (
    *dict.fromkeys(name for names in _OF_FAMILY.values() for name in names if name != _FREE),
    "Pony V7",
    _FREE,
)
"""Names of the form's fixed list; it has more, newer ones."""

_TRAINED_ON = {
    "Pony": re.compile(r"pony"),
    "Illustrious": re.compile(r"illustrious|(?<![a-z])ilxl"),
    "NoobAI": re.compile(r"noob"),
    "SDXL 1.0": re.compile(r"sd_?xl_base"),
    "SD 1.4": re.compile(r"sd-v1-4|v1-4(?![0-9])"),
    "Flux.1 S": re.compile(r"flux.{0,99}schnell"),
    "Flux.1 Krea": re.compile(r"flux.{0,99}krea"),
    "Flux.1 Kontext": re.compile(r"flux.{0,99}kontext"),
}
"""What the file name of a base model says of its name on the site."""

_WITH_VARIANTS = ("SD 3.5", "Flux.2")
"""Families of which the list holds several, such as "SD 3.5 Large"."""


def default_base_model(family: Family) -> str:
    """Return the list's usual name for a family."""
    return family.facts.civitai[0]


def trained_on(file_name: str) -> str:
    """Return the list's name that a base model's file name tells; "" unless it tells just one."""
    plain = file_name.casefold().replace("\\", "/").rpartition("/")[2]
    found = [name for name, pattern in _TRAINED_ON.items() if pattern.search(plain)]
    return found[0] if len(found) == 1 and found[0] in BASE_MODELS else ""


def is_listed(name: str) -> bool:
    """Tell whether the form's list has a name, as far as it is known here."""
    return name in BASE_MODELS or name.startswith(tuple(f"{one} " for one in _WITH_VARIANTS))


def base_model_problem(name: str, family: Family) -> tuple[str, str] | None:
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
        _is_variant(name, one)
        for other, names in _OF_FAMILY.items()
        if other is not family
        for one in names
        if one != _FREE
    )
    if listed_elsewhere and not any(_is_variant(name, one) for one in known):
        return (
            f'The base model "{name}" is not of the family {family.value} that it was trained on',
            f"That is usually {known[0]}.",
        )
    return None


def _is_variant(name: str, listed: str) -> bool:
    return name == listed or name.startswith(f"{listed} ")


def _squeezed(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


_EVERY_USE = ("Image", "RentCivit", "Rent", "Sell")


def permissions_of(license: str) -> Permissions:
    """Return what a licence permits, in the form's words; the strictest for unknown ones.

    Creative Commons: NC nothing commercial, ND no merges, SA the same licence on merges.
    """
    name = license.strip().casefold().replace("_", "-").replace(" ", "-")
    if name.startswith(("cc0", "unlicense", "wtfpl", "public-domain")):
        return Permissions(_EVERY_USE, without_credit=True, derivatives=True, other_license=True)
    if name.startswith("cc-by"):
        parts = name.split("-")
        return Permissions(
            () if "nc" in parts else _EVERY_USE,
            derivatives="nd" not in parts,
            other_license="nd" not in parts and "sa" not in parts,
        )
    if name.startswith(("mit", "apache", "bsd")):
        return Permissions(_EVERY_USE, derivatives=True, other_license=True)
    if "openrail" in name:
        return Permissions(_EVERY_USE, derivatives=True, other_license=False)
    if name.startswith(("gpl", "agpl", "lgpl")):
        return Permissions(_EVERY_USE, derivatives=True, other_license=False)
    return Permissions((), derivatives=False)
