"""The words of a pack: description, Hugging Face card, the WebUI's user metadata."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from kohya_ext.project.manifest import Manifest, SubjectKind
from kohya_ext.project.wording import counted

from ..api.lora_tags import without_networks
from .markdown import block, code, inline, require_safe_link, to_html
from .material import Material

_DESCRIPTION = "publish.description"

_HUB_LICENSES = {
    "creativeml-openrail-m", "bigscience-openrail-m", "bigcode-openrail-m", "cc", "cc-by-3.0",
    "cc-by-2.0", "cc-by-2.5", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0",
    "cc-by-sa-3.0", "bsd", "bsd-2-clause", "bsd-3-clause", "lgpl-3.0", "gpl", "gpl-2.0", "lgpl",
    "mpl-2.0", "artistic-2.0", "eupl-1.2", "isc", "zlib",
    "apache-2.0", "mit", "openrail", "openrail++", "cc0-1.0", "cc-by-4.0",
    "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "gpl-3.0",
    "agpl-3.0", "unlicense", "wtfpl",
}  # fmt: skip
"""What the hub takes as a licence's identifier; anything else is "other" with its name."""

SIMULATED_NOTE = (
    "**Simulated:** made by loraloom's simulated hosts. The LoRA is not trained and the "
    "pictures are cards. Not for upload."
)


MADE_WITH_AI = "Made with AI: the pictures were generated with this LoRA."


def facts(material: Material) -> list[tuple[str, str]]:
    """Return what a reader wants to know first, as name and value."""
    promoted, manifest = material.promoted, material.manifest
    rows = [
        ("Trigger word", manifest.trigger_word),
        ("Recommended weight", weight_text(material)),
        ("Base model", material.base_model),
        ("Chosen", promoted.place),
        ("Network", promoted.network),
        ("Source", manifest.publish.source_link),
        ("Author", manifest.publish.author),
        ("Licence", manifest.publish.license),
        ("AutoV3", promoted.autov3),
        ("SHA256", promoted.sha256),
    ]
    return [(name, value) for name, value in rows if value]


def weight_text(material: Material) -> str:
    """Return `0.8`, or `0.8 (the pictures: 0.6 to 1)` when they differ."""
    weights = material.weights
    if len(weights) == 1:
        return f"{material.weight:g}"
    return f"{material.weight:g} (the pictures: {weights[0]:g} to {weights[-1]:g})"


def description(material: Material) -> str:
    """Return description.md: what the site's description field takes."""
    promoted, manifest = material.promoted, material.manifest
    lines = [f"# {inline(material.title)}", ""]
    if material.is_simulated:
        lines += [SIMULATED_NOTE, ""]
    if material.description:
        lines += [block(material.description, _DESCRIPTION), ""]
    lines += [f"- **{name}:** {_value(name, value)}" for name, value in facts(material)]
    lines += ["", "## How to use it", ""]
    lines += [
        f"Write `<lora:{promoted.name}:{material.weight:g}>` and {code(manifest.trigger_word)} "
        "into the prompt.",
        "",
        "## The pictures",
        "",
        f"{counted(len(material.pictures), 'picture')}, drawn with exactly this file. Each "
        "contains "
        "its generation "
        "data: prompt, seed, checkpoint and hashes.",
        "",
        MADE_WITH_AI,
    ]
    if material.checkpoints:
        lines += ["", "Checkpoints:", ""]
        lines += [f"- {inline(name)} `{digest}`" for name, digest in material.checkpoints]
    if material.helpers:
        lines += ["", "Other LoRAs in some of the pictures:", ""]
        lines += [f"- {inline(name)} `{digest}`" for name, digest in material.helpers]
    return "\n".join(lines) + "\n"


def description_html(material: Material) -> str:
    """Return the description in the tags that sites take, without its heading."""
    _, _, text = description(material).partition("\n")
    return to_html(text)


def description_page(material: Material) -> str:
    """Return the same as a page to look at and to copy from; a hash breaks on a narrow screen."""
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(material.title)}: description</title>\n"
        "<style>:root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; "
        "max-width: 54rem; margin: 1rem auto; padding: 0 1rem; overflow-wrap: anywhere }</style>\n"
        f"<body>\n{description_html(material)}\n</body>\n</html>\n"
    )


def version_notes_html(material: Material) -> str:
    """Return what is said of this version: the chosen epoch and its weight."""
    promoted = material.promoted
    chosen = f", {promoted.place}" if promoted.place else ""
    return to_html(
        f"{code(promoted.name)}{inline(chosen)}. Recommended weight {weight_text(material)}. "
        f"AutoV3 {code(promoted.autov3)}."
    )


def _value(name: str, value: str) -> str:
    if name == "Source":
        return block(require_safe_link(value, "publish.source_link"), "publish.source_link")
    return code(value) if name in {"Trigger word", "AutoV3", "SHA256"} else inline(value)


def user_metadata(material: Material) -> str:
    """Return NAME.json: what the WebUI shows and inserts when its card is clicked."""
    promoted, manifest = material.promoted, material.manifest
    notes = ", ".join(f"{name}: {value}" for name, value in facts(material) if name != "SHA256")
    data = {
        "description": material.description or material.title,
        "sd version": manifest.base_model.family.facts.drawing.version,
        "activation text": manifest.trigger_word,
        "preferred weight": material.weight,
        "negative text": "",
        "notes": notes + (" (simulated)" if material.is_simulated else ""),
    }
    assert promoted.name
    return json.dumps(data, ensure_ascii=False, indent=4) + "\n"


def short_description(material: Material) -> str:
    """Return NAME.description.txt, which the WebUI shows on the card."""
    manifest = material.manifest
    parts = [
        "Simulated: the LoRA is not trained." if material.is_simulated else "",
        material.description,
        f"Trigger word: {manifest.trigger_word}. Weight: {weight_text(material)}.",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def hub_card(material: Material, pictures: tuple[str, ...]) -> str:
    """Return README.md as Hugging Face reads it; `pictures` as paths in the pack."""
    import yaml

    front = yaml.safe_dump(
        _front_matter(material, pictures), allow_unicode=True, sort_keys=False, width=1000
    )
    manifest, promoted = material.manifest, material.promoted
    lines = [f"---\n{front}---\n", f"# {inline(material.title)}\n"]
    if material.is_simulated:
        lines.append(f"{SIMULATED_NOTE}\n")
    if material.description:
        lines.append(f"{block(material.description, _DESCRIPTION)}\n")
    lines.append("<Gallery />\n")
    lines.append(
        f"## Trigger words\n\nUse {code(manifest.trigger_word)} to call the subject, at weight "
        f"{material.weight:g}.\n"
    )
    rows = "\n".join(f"| {name} | {_value(name, value)} |" for name, value in facts(material))
    lines.append(f"## Facts\n\n| | |\n|---|---|\n{rows}\n")
    lines.append(
        f"## Download model\n\nThe weights are in Safetensors format: `{promoted.path.name}`.\n"
    )
    lines.append(f"{MADE_WITH_AI}\n")
    if manifest.subject.kind is SubjectKind.PERSON and manifest.subject.consent:
        consent = manifest.subject.consent
        said = f"{inline(consent.name)} agreed on {consent.date}: {inline(consent.scope)}."
        lines.append(f"## Consent\n\n{said}\n")
    return "\n".join(lines)


def _front_matter(material: Material, pictures: tuple[str, ...]) -> dict[str, Any]:
    manifest = material.manifest
    family = manifest.base_model.family
    tags = ["text-to-image", "lora", "diffusers", "template:sd-lora"]
    tags += [family.facts.hub_tag, *manifest.publish.tags]
    if material.content and material.content.level.is_for_adults:
        tags.append("not-for-all-audiences")
    front: dict[str, Any] = {
        "tags": list(dict.fromkeys(tags)),
        "base_model": _base_model(manifest),
        "instance_prompt": manifest.trigger_word,
        **_license(manifest.publish.license),
        **({"thumbnail": pictures[0]} if pictures else {}),
        "widget": [
            {
                "text": without_networks(picture.prompt) or manifest.trigger_word,
                "output": {"url": place},
                "parameters": {
                    "negative_prompt": picture.infotext.negative_prompt if picture.infotext else ""
                },
            }
            for picture, place in zip(material.pictures, pictures, strict=True)
        ],
    }
    return front


def _base_model(manifest: Manifest) -> str:
    """Return the base model as the name of a repository: the manifest's own, else the family's."""
    path = manifest.base_model.path
    is_repository = re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", path, re.ASCII)
    is_file = path.endswith((".safetensors", ".ckpt", ".sft"))
    return path if is_repository and not is_file else manifest.base_model.family.facts.hub


def _license(name: str) -> dict[str, str]:
    if not name:
        return {}
    known = "-".join(name.casefold().split())
    if known in _HUB_LICENSES:
        return {"license": known}
    plain = re.sub(r"[^a-z0-9.]+", "-", name.casefold()).strip("-.")
    link = {"license_link": name} if name.startswith(("https://", "http://")) else {}
    return {"license": "other", "license_name": plain or "other", **link}
