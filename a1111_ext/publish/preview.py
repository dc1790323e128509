"""The preview: the model's page and each post, laid out as sites show them, before the upload."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources
from string import Template

from kohya_ext.project.manifest import SubjectKind
from kohya_ext.project.wording import counted

from .card import description_html, facts
from .material import Material
from .pack_picture import PackPicture

_SHOWN_FIELDS = ("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model")


def write_preview(material: Material, posts: Sequence[Sequence[str]]) -> str:
    """Return preview.html; `posts` are the pictures' paths beside it, post by post."""
    page = resources.files(__package__) / "web" / "preview.html"
    level = material.content.level.value if material.content else "not rated"
    site = (
        "Not for Civitai: a real person"
        if material.manifest.subject.kind is SubjectKind.PERSON
        else "Laid out as on Civitai"
    )
    return Template(page.read_text(encoding="utf-8")).substitute(
        title=html.escape(material.title),
        badge=material.badge,
        site=html.escape(site),
        chips="".join(f"<span>{html.escape(one)}</span>" for one in _chips(material)),
        level=html.escape(level),
        strip="".join(
            f'<img src="{html.escape(place, quote=True)}" alt="" loading="lazy">'
            for place in posts[0][:4]
        ),
        facts="".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in facts(material)
        ),
        description=description_html(material),
        posts="".join(
            _post(material, number, pictures, places)
            for number, (pictures, places) in enumerate(
                zip((material.pictures, *material.follow_ups), posts, strict=True)
            )
        ),
    )


def _chips(material: Material) -> list[str]:
    adult = material.content is not None and material.content.level.is_for_adults
    marks = ["not for all audiences"] if adult else []
    return [material.promoted.module, material.base_model, *material.publish.tags, *marks]


def _post(
    material: Material, number: int, pictures: Sequence[PackPicture], places: Sequence[str]
) -> str:
    title = "The post" if number == 0 else f"Follow-up post {number}"
    cards = "".join(
        _card(material, one, place) for one, place in zip(pictures, places, strict=True)
    )
    return (
        f"<section><h2>{title} <small>{counted(len(pictures), 'picture')}</small></h2>"
        f'<div class="post">{cards}</div></section>'
    )


def _card(material: Material, one: PackPicture, place: str) -> str:
    source = html.escape(place, quote=True)
    rows = "".join(
        f"<tr><th>{name}</th><td>{html.escape(one.fields[name])}</td></tr>"
        for name in _SHOWN_FIELDS
        if name in one.fields
    )
    used = "".join(
        f"<li>{html.escape(name)} <code>{html.escape(digest)}</code>"
        f"{' (this one)' if digest == material.promoted.autov3 else ''}</li>"
        for name, digest in one.lora_hashes.items()
    )
    negative = one.infotext.negative_prompt if one.infotext else ""
    return (
        f'<article><a href="{source}"><img src="{source}" loading="lazy" '
        f'alt="{html.escape(one.prompt[:160], quote=True)}"></a>'
        f"<details><summary>Generation data</summary><h3>Resources used</h3><ul>{used}</ul>"
        f"<h3>Prompt</h3><p>{html.escape(one.prompt)}</p>"
        f"<h3>Negative prompt</h3><p>{html.escape(negative)}</p>"
        f"<table>{rows}</table></details></article>"
    )
