"""The upload form of the largest site (Civitai), as read in its own source: every field, filled.

The site has no route to upload a model, so this is a page to copy from.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from importlib import resources
from string import Template

from kohya_ext.project.manifest import Permissions, SubjectKind

from .card import description_html, version_notes_html
from .material import Material
from .site import AS_OF, MOST_PICTURES, permissions_of

_CATEGORIES = {
    SubjectKind.STYLE: "style",
    SubjectKind.OBJECT: "objects",
    SubjectKind.CREATURE: "animal",
    SubjectKind.CHARACTER: "character",
    SubjectKind.PERSON: "celebrity",
}
_COMMERCIAL = {
    "Image": "Sell generated images",
    "RentCivit": "Use on Civitai generation service",
    "Rent": "Use on other generation services",
    "Sell": "Sell this model or merges",
}


@dataclass(frozen=True)
class FormField:
    """One field: a value to copy, or a switch to set; `note` says why."""

    name: str
    value: str
    note: str = ""
    is_switch: bool = False
    is_html: bool = False


@dataclass(frozen=True)
class FormPage:
    """One page of the form, in the order in which the site asks."""

    title: str
    fields: tuple[FormField, ...]


def form_pages(material: Material) -> tuple[FormPage, ...]:
    """Return all pages of the form with what belongs into them."""
    return (
        FormPage("1. Model", (*_model(material), *_rights(material))),
        FormPage("2. Version", _version(material)),
        FormPage("3. File", _file(material)),
        *(FormPage(f"{number}. {title}", fields) for number, (title, fields) in enumerate(
            _posts(material), start=4)),
    )  # fmt: skip


def _switch(name: str, is_on: bool, note: str = "") -> FormField:
    return FormField(name, "yes" if is_on else "no", note, is_switch=True)


def _model(material: Material) -> tuple[FormField, ...]:
    manifest, publish, content = material.manifest, material.publish, material.content
    kind = manifest.subject.kind
    is_adult = content is not None and content.level.is_for_adults
    minor = content.minor if content else ""
    judged = f"The pictures are {content.level.value}." if content else "The content is not rated."
    resembles = kind is SubjectKind.CHARACTER
    return (
        FormField("Name", material.title),
        FormField("Type", material.promoted.module),
        FormField("Category", publish.category or _CATEGORIES[kind]),
        FormField("Tags", ", ".join(publish.tags), "Press Enter after each."),
        FormField(
            "Description", description_html(material), "Pasted with its format.", is_html=True
        ),
        _switch("Mature content", is_adult, judged),
        _switch(
            "Depicts an actual person",
            kind is SubjectKind.PERSON,
            "A character that looks like its actor counts as that person." if resembles else "",
        ),
        _switch("Depicts a minor", bool(minor), f"Because of: {minor}. Check it." if minor else ""),
        _switch("Cannot be used for NSFW generation", bool(minor), "Yes for anything young."),
    )


def _rights(material: Material) -> tuple[FormField, ...]:
    given = material.publish.permissions
    rights: Permissions = given or permissions_of(material.publish.license)
    why = "As publish.permissions says." if given else _license_note(material.publish.license)
    return (
        _switch("Use without crediting me", rights.without_credit, why),
        _switch("Share merges", rights.derivatives),
        _switch("Use different permissions on merges", rights.other_license),
        *(
            _switch(f"Commercial use: {words}", word in rights.commercial_use)
            for word, words in _COMMERCIAL.items()
        ),
    )


def _license_note(license: str) -> str:
    return (
        f"As the licence {license} says."
        if license
        else "No licence is given: the strictest options."
    )


def _version(material: Material) -> tuple[FormField, ...]:
    promoted, weights = material.promoted, material.weights
    resources_used = [*material.checkpoints, *material.helpers]
    is_spread = len(weights) > 1
    rows = (
        FormField("Version name", promoted.name),
        FormField("Base model", material.base_model),
        _switch("Early access", False, "Paid access requires the rights to all training pictures."),
        FormField("About this version", version_notes_html(material), is_html=True),
        FormField("Trained words", material.manifest.trigger_word),
        _switch("This version doesn't require any trigger words", False),
        FormField("Training epochs", "" if promoted.epoch is None else str(promoted.epoch)),
        FormField("Training steps", "" if promoted.steps is None else str(promoted.steps)),
        FormField("Clip skip", str(material.clip_skip)),
        FormField("Recommended strength", f"{material.weight:g}"),
        FormField("Minimum strength", f"{weights[0]:g}" if is_spread else ""),
        FormField("Maximum strength", f"{weights[-1]:g}" if is_spread else ""),
        *(
            FormField("Recommended resource", name, f"hash {digest}" if digest else "")
            for name, digest in resources_used
        ),
        _switch("Require users to be logged in to download", False),
    )
    return tuple(one for one in rows if one.value)


def _file(material: Material) -> tuple[FormField, ...]:
    promoted = material.promoted
    return (
        FormField("File", promoted.path.name, "From this folder."),
        FormField("File type", "Model"),
        FormField("AutoV2", promoted.autov2, "As the site shows it after its scan."),
        FormField(
            "AutoV3",
            promoted.autov3,
            "Must be the same as in the pictures; otherwise they are not linked.",
        ),
        FormField("SHA256", promoted.sha256),
    )


def _posts(material: Material) -> list[tuple[str, tuple[FormField, ...]]]:
    posts = [("Post", _post(material, material.title, "images", len(material.pictures)))]
    for number, pictures in enumerate(material.follow_ups, start=1):
        title = f"{material.title}: more pictures" + (f" {number}" if number > 1 else "")
        name = f"Follow-up post {number}"
        posts.append((name, _post(material, title, f"follow-up-{number}", len(pictures))))
    return posts


def _post(material: Material, title: str, folder: str, count: int) -> tuple[FormField, ...]:
    rating = material.content.site_rating if material.content else ""
    rows = (
        FormField("Post title", title),
        FormField("Pictures", f"{folder}/", f"{count} of at most {MOST_PICTURES}, in their order."),
        FormField("Tags", ", ".join(material.publish.tags)),
        FormField("Rating", rating, "The site rates automatically; correct it if it is wrong."),
        FormField(
            "Resource",
            f"{material.title}: {material.promoted.name}",
            "If the site does not find it.",
        ),
    )
    return tuple(one for one in rows if one.value)


def write_form(material: Material) -> str:
    """Return civitai.html."""
    page = resources.files(__package__) / "web" / "civitai.html"
    return Template(page.read_text(encoding="utf-8")).substitute(
        title=html.escape(material.title),
        as_of=AS_OF,
        badge=material.badge,
        pages="".join(map(_page_html, form_pages(material))),
    )


def _page_html(page: FormPage) -> str:
    rows = "".join(map(_row_html, page.fields))
    return f"<section><h2>{html.escape(page.title)}</h2><dl>{rows}</dl></section>"


def _row_html(field: FormField) -> str:
    name, note = html.escape(field.name), html.escape(field.note)
    hint = f"<small>{note}</small>" if note else ""
    if field.is_switch:
        state = "on" if field.value == "yes" else "off"
        return (
            f'<div class="switch {state}"><dt>{name}</dt><dd><b>{field.value}</b>{hint}</dd></div>'
        )
    if field.is_html:
        return (
            f'<div><dt>{name}</dt><dd><div class="rich">{field.value}</div>{hint}</dd>'
            "<button data-rich>Copy</button></div>"
        )
    if not field.value:
        return f"<div><dt>{name}</dt><dd><i>not set</i>{hint}</dd></div>"
    value = html.escape(field.value, quote=True)
    return (
        f"<div><dt>{name}</dt><dd><code>{value}</code>{hint}</dd>"
        f'<button data-copy="{value}">Copy</button></div>'
    )
