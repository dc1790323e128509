"""Whether an upscaler has its weights: a WebUI lists some that it would first have to fetch.

Without them it does a plain resize and answers with status 200, so each is asked to enlarge a
small picture, and its answer compared with plain resizes.
"""

from __future__ import annotations

import base64
import binascii
import io
import random
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .capabilities import Capabilities
from .client import ApiError, Client, ConnectionLost

if TYPE_CHECKING:
    from PIL import Image

RESIZES = ("Nearest", "Lanczos", "None")
"""Upscalers that are plain resizes, and say so."""

_SECONDS = 600.0
"""How long a WebUI may take, which fetches the weights when it is first asked for them."""

_PIXELS = 32
_SCALE = 2
_ALIKE = 3.0
"""Pictures are the same resize when their mean difference is not above this, of 255."""


def prove_upscalers(client: Client, found: Capabilities, names: Iterable[str]) -> Capabilities:
    """Return capabilities that tell which of some upscalers have no weights, or cannot be checked.

    Each takes one small request; names that need no weights, or are unknown, take none.
    """
    known = {*found.without_weights, *found.unchecked_upscalers, *found.proved_upscalers}
    wanted = [
        one
        for one in dict.fromkeys(names)
        if one in found.upscalers and one not in known and needs_weights(one)
    ]
    proved = {one: _enlarges(client, one) for one in wanted}
    return replace(
        found,
        proved_upscalers=(*found.proved_upscalers, *_with(proved, True)),
        without_weights=(*found.without_weights, *_with(proved, False)),
        unchecked_upscalers=(*found.unchecked_upscalers, *_with(proved, None)),
    )


def needs_weights(name: str) -> bool:
    """Tell whether an upscaler is more than a resize of pixels or of latents."""
    return bool(name) and name not in RESIZES and not name.startswith("Latent")


def _with(proved: dict[str, bool | None], answer: bool | None) -> tuple[str, ...]:
    return tuple(name for name, one in proved.items() if one is answer)


def _enlarges(client: Client, name: str) -> bool | None:
    """Tell whether an upscaler does more than a plain resize; None where it cannot be told."""
    from PIL import Image

    # Each time other colours: a WebUI remembers what it has enlarged.
    blocks = Image.frombytes("RGB", (8, 8), random.randbytes(8 * 8 * 3))
    picture = blocks.resize((_PIXELS, _PIXELS), Image.Resampling.NEAREST)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    body = {
        "resize_mode": 0,
        "upscaling_resize": _SCALE,
        "upscaler_1": name,
        "image": base64.b64encode(stream.getvalue()).decode("ascii"),
    }
    try:
        answer = client.post("/sdapi/v1/extra-single-image", body, seconds=_SECONDS)
    except ConnectionLost:
        raise
    except ApiError:
        return None
    enlarged = _decoded(answer)
    return None if enlarged is None else not is_resize(picture, enlarged)


def _decoded(answer: Any) -> Image.Image | None:
    from PIL import Image

    try:
        text = str(answer["image"])
        content = binascii.a2b_base64(text.rpartition(",")[2])
        with Image.open(io.BytesIO(content)) as opened:
            picture: Image.Image = opened.convert("RGB")
            return picture
    except (KeyError, TypeError, ValueError, OSError, SyntaxError):
        return None


def is_resize(picture: Image.Image, enlarged: Image.Image) -> bool:
    """Tell whether a larger picture is nothing but a plain resize of a small one."""
    from PIL import Image, ImageChops, ImageStat

    for method in (
        Image.Resampling.LANCZOS,
        Image.Resampling.BICUBIC,
        Image.Resampling.BILINEAR,
        Image.Resampling.NEAREST,
    ):
        plain = picture.resize(enlarged.size, method)
        difference = ImageStat.Stat(ImageChops.difference(plain, enlarged)).mean
        if max(difference) <= _ALIKE:
            return True
    return enlarged.size == picture.size
