"""What the showcase adds to the LoRA's header: ModelSpec's usage hint and thumbnail."""

from __future__ import annotations

import base64
import io

from .material import Material

_PIXELS = 256
_QUALITY = 80


def shown_in_header(material: Material) -> dict[str, str]:
    """Return the keys; a picture for adults becomes no thumbnail."""
    found = {"modelspec.usage_hint": _usage_hint(material)}
    is_adult = material.content is not None and material.content.level.is_for_adults
    if not is_adult:
        found["modelspec.thumbnail"] = _thumbnail(material)
    return found


def _usage_hint(material: Material) -> str:
    word = material.manifest.trigger_word
    return (
        f"Write <lora:{material.promoted.name}:{material.weight:g}> and {word} into the prompt. "
        f"Shown at weight {', '.join(f'{one:g}' for one in material.weights)}, "
        f"clip skip {material.clip_skip}."
    )


def _thumbnail(material: Material) -> str:
    """Return the first picture within 256 x 256 as a data URI of a JPEG, as ModelSpec asks."""
    from PIL import Image, ImageOps

    with Image.open(material.pictures[0].path) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    upright.thumbnail((_PIXELS, _PIXELS))
    stream = io.BytesIO()
    upright.save(stream, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
