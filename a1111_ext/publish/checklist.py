"""The checklist: one page with every check, every field of the site's form, and its rules."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources
from string import Template

from kohya_ext.project.manifest import SubjectKind

from .card import weight_text
from .check import Check, CheckState
from .material import Material
from .site import AS_OF, MOST_PICTURES

FORM_LINK = '<p><a href="civitai.html">Every field of Civitai\'s upload form, to copy</a></p>'
_MARKS = {
    CheckState.PASSED: "&#10003;",
    CheckState.TO_DO: "&#9744;",
    CheckState.NOT_CHECKED: "?",
    CheckState.REFUSED: "&#10007;",
}


def facts_to_copy(material: Material) -> list[tuple[str, str]]:
    """Return what any site asks for; the largest one's form is a page of its own."""
    promoted, manifest, publish = material.promoted, material.manifest, material.publish
    rows = [
        ("Name", material.title),
        ("Type", promoted.module),
        ("Tags", ", ".join(publish.tags)),
        ("Base model", material.base_model),
        ("Trigger word", manifest.trigger_word),
        ("Epochs", "" if promoted.epoch is None else str(promoted.epoch)),
        ("Steps", "" if promoted.steps is None else str(promoted.steps)),
        ("Weight", f"{material.weight:g}"),
        ("AutoV2", promoted.autov2),
        ("AutoV3", promoted.autov3),
        ("SHA256", promoted.sha256),
    ]
    return [(name, value) for name, value in rows if value]


def site_rules(material: Material) -> list[str]:
    """Return the site's rules that a person has to answer for, as sentences."""
    if material.manifest.subject.kind is SubjectKind.PERSON:
        return [
            "Do not upload this LoRA to Civitai: since May 2025 it does not accept likenesses of "
            "real persons, even with consent.",
            "Where you publish it, show the recorded consent, and keep its evidence.",
        ]
    return [
        f"A post has at most {MOST_PICTURES} pictures.",
        "No real persons in the training pictures or in the showcase.",
        "Nothing sexual with anyone who looks like a minor, in any style; no photorealistic "
        "minors.",
        "Pictures keep their generation data; upload them as they are in images/.",
        "After the upload, check whether the site found the LoRA in each picture: it compares the "
        "AutoV3 hash. If it did not, the uploaded file is a different one.",
        "List the other LoRAs and checkpoints of the pictures, with links.",
    ]


def to_do(checks: Sequence[Check]) -> list[Check]:
    """Return what is left to a person."""
    return [one for one in checks if one.state in (CheckState.TO_DO, CheckState.NOT_CHECKED)]


def write_page(
    material: Material, checks: Sequence[Check], pictures: Sequence[str], description: str
) -> str:
    """Return checklist.html; `pictures` as paths beside it."""
    title = html.escape(material.title)
    fields = "".join(
        f"<tr><th>{html.escape(name)}</th><td><code>{html.escape(value)}</code></td>"
        f'<td><button data-copy="{html.escape(value, quote=True)}">Copy</button></td></tr>'
        for name, value in facts_to_copy(material)
    )
    rows = "".join(
        f'<tr class="{one.state.name.lower()}"><td>{_MARKS[one.state]}</td>'
        f"<th>{html.escape(one.what)}</th><td>{html.escape(one.detail)}</td></tr>"
        for one in checks
    )
    rules = "".join(
        f'<li><label><input type="checkbox"> {html.escape(rule)}</label></li>'
        for rule in site_rules(material)
    )
    shown = "".join(
        f'<figure><a href="{html.escape(place, quote=True)}"><img '
        f'src="{html.escape(place, quote=True)}" alt="{html.escape(one.prompt[:160], quote=True)}">'
        f"</a><figcaption>{number}. {html.escape(one.framing or 'framing unknown')}"
        "</figcaption></figure>"
        for number, (one, place) in enumerate(
            zip(material.pictures, pictures, strict=True), start=1
        )
    )
    is_person = material.manifest.subject.kind is SubjectKind.PERSON
    heading = "Not for Civitai" if is_person else f"Rules of Civitai, as of {AS_OF}"
    page = resources.files(__package__) / "web" / "checklist.html"
    return Template(page.read_text(encoding="utf-8")).substitute(
        title=title,
        badge=material.badge,
        weight=html.escape(weight_text(material)),
        checks=rows,
        fields=fields,
        form="" if is_person else FORM_LINK,
        heading=heading,
        rules=rules,
        description=html.escape(description),
        count=len(material.pictures),
        pictures=shown,
    )
